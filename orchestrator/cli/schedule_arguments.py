"""The arguments of `orchestrator schedule`; imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.cli.argument_values import (
    absolute_path,
    count,
    cron_text,
    given_path,
    one_day,
    pair,
    positive,
)
from orchestrator.cli.shared_options import add_job_choice, add_output

SUPERVISORS = ("cron", "systemd", "kubernetes", "airflow")


def add_schedule(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("supervisor", choices=SUPERVISORS, help="what starts the command")
    parser.add_argument("spec", metavar="SPEC", type=Path, help="a spec file")
    parser.add_argument(
        "--at",
        metavar="CRON",
        type=cron_text,
        help='the schedule of a spec that has none, such as "15 2 * * *"',
    )
    parser.add_argument(
        "--jitter",
        metavar="SECS",
        type=count,
        help="the longest delay that spreads starts (default: 300, or a tenth of the interval)",
    )
    parser.add_argument(
        "--env-file",
        metavar="FILE",
        type=absolute_path,
        help="the file with the token and other secrets (default: NAME.env in the user's config "
        "folder)",
    )
    parser.add_argument("--image", metavar="IMAGE", help="the container image, for kubernetes")
    parser.add_argument(
        "--shards",
        metavar="N",
        type=positive,
        help="start N processes that share each batch, for kubernetes and airflow; their ledger "
        "is in PostgreSQL",
    )
    parser.add_argument(
        "--catch-up",
        metavar="DAY",
        type=one_day,
        help="for airflow: also start the batches that were missed, from this day on",
    )
    parser.add_argument(
        "--to", metavar="DIR", type=given_path, help="write the files there instead of printing"
    )
    group = parser.add_argument_group("options of the command that is started")
    group.add_argument("--local", action="store_true", help="run on the embedded local platform")
    group.add_argument(
        "--param", metavar="K=V", type=pair, action="append", default=[], help="set a parameter"
    )
    add_job_choice(group)
    group.add_argument("--max-runs", metavar="N", type=positive, help="the most runs at once")
    group.add_argument(
        "--metrics-file", metavar="F", type=absolute_path, help="write metrics there"
    )
    add_output(parser)
    parser.add_argument("--json", action="store_true", help="print the files as JSON")
    parser.set_defaults(on_signal="leave")
