"""Options that several commands have."""

from __future__ import annotations

import argparse

from orchestrator.cli.argument_values import given_path, positive, selection_text


def add_output(parser: argparse.ArgumentParser) -> None:
    """`--output`, `--ledger` and `--config`."""
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="the folder of all batches, or s3://bucket/prefix (default: output)",
    )
    parser.add_argument(
        "--ledger",
        metavar="URL",
        help="keep ledgers in PostgreSQL: postgresql://user@host/database?schema=orchestrator",
    )
    parser.add_argument("--config", metavar="FILE", type=given_path, help="a config file to read")


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    """The options of each command that drives a batch."""
    add_output(parser)
    add_logging(parser)
    parser.add_argument("--max-runs", metavar="N", type=positive, help="the most runs at once")
    parser.add_argument(
        "--metrics-file",
        metavar="F",
        type=given_path,
        help="write metrics there, for the node exporter's textfile collector",
    )
    parser.add_argument(
        "--on-signal",
        choices=["leave", "abort"],
        default="leave",
        help="leave or abort the live runs at the first SIGINT or SIGTERM (default: leave)",
    )


def add_job_choice(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """The options that select some jobs of a spec."""
    add_select(parser, "only these jobs")
    parser.add_argument(
        "--exclude",
        metavar="S",
        type=selection_text,
        help="all jobs except these; same grammar as --select",
    )
    parser.add_argument("--limit", metavar="N", type=positive, help="only the first N jobs")


def add_select(parser: argparse.ArgumentParser | argparse._ArgumentGroup, meaning: str) -> None:
    """`--select`, with its meaning for the command."""
    parser.add_argument(
        "--select",
        metavar="S",
        type=selection_text,
        help=f'{meaning}, such as "tag:eu name:shop-*"',
    )


def add_logging(parser: argparse.ArgumentParser) -> None:
    """The options for logs and for the summary."""
    parser.add_argument(
        "--log-format",
        choices=["auto", "text", "json"],
        help="the format of stderr (default: auto)",
    )
    parser.add_argument(
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        help="the lowest level to log (default: info)",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def add_accept_changes(parser: argparse.ArgumentParser) -> None:
    """The option of commands that resume a batch."""
    parser.add_argument(
        "--accept-changes",
        action="store_true",
        help="use the spec as it is now, instead of the batch's own copy",
    )
