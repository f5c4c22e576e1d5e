"""The command line of every peer."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser_of_peers() -> argparse.ArgumentParser:
    """The platform's URL and token, a folder, the jobs, how many at once, and their input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--tasks", nargs="+", required=True, help="ids; each job runs one in turn")
    parser.add_argument("--at-once", type=int, default=100)
    parser.add_argument("--input", required=True, help="JSON")
    return parser


def prepared(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments; the folder exists."""
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    return options


def read_arguments() -> argparse.Namespace:
    """The arguments of a peer without options of its own."""
    return prepared(parser_of_peers())
