"""`orchestrator schema`: the JSON Schema of a spec."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no options; its answer is JSON in any case."""
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)


def call(_options: argparse.Namespace) -> int:
    """Runs the command."""
    import json

    from orchestrator.specfile import spec_schema

    print(json.dumps(spec_schema(), indent=2))
    return 0
