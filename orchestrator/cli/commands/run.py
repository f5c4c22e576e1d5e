"""`orchestrator run`: a spec as a new batch, or, with `--resume`, the batch of an occurrence."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.cli.arguments import (
    SPEC_HELP,
    add_accept_changes,
    add_choice,
    add_driving,
    day_or_time,
    given_path,
    one_day,
    pair,
    read_ahead,
    settings_of,
    span_of_days,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("spec", metavar="SPEC", type=Path, help=SPEC_HELP)
    parser.add_argument("--local", action="store_true", help="run on the embedded local platform")
    parser.add_argument(
        "--actors",
        metavar="DIR",
        type=given_path,
        action="append",
        help="Actors for --local (the folder `actors` beside the spec)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="one batch for each occurrence of the schedule: resume it, run it, or do nothing "
        "where it is done; for cron, systemd, Kubernetes and other supervisors",
    )
    add_accept_changes(parser)
    parser.add_argument(
        "--param", metavar="K=V", type=pair, action="append", default=[], help="set a parameter"
    )
    add_choice(parser)
    parser.add_argument(
        "--force", action="store_true", help="run jobs although `reuse` would take earlier results"
    )
    parser.add_argument(
        "--concurrent",
        action="store_true",
        help="start a batch although another one of the same series is live",
    )
    times = parser.add_mutually_exclusive_group()
    times.add_argument(
        "--occurrence",
        metavar="T",
        type=day_or_time,
        help="the occurrence that the batch is for: a day, or a time as 2026-11-25T02:15",
    )
    times.add_argument(
        "--date",
        metavar="D",
        dest="occurrence",
        type=one_day,
        help="the same: the day that `{{ date }}` is, as 2026-11-25 (that of the occurrence due)",
    )
    times.add_argument(
        "--dates",
        metavar="A..B",
        type=span_of_days,
        help="a batch for each of these days, both included, that has none which succeeded",
    )
    add_driving(parser)


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    read_ahead()
    from dataclasses import replace

    from orchestrator.cli.batch_run import make_context
    from orchestrator.cli.occurrence import Asked, backfill, run_new, serve_occurrence
    from orchestrator.errors import UsageError
    from orchestrator.specfile import load_spec

    if options.resume and options.concurrent:
        raise UsageError(
            "--resume makes one batch of each occurrence, and --concurrent another one beside it: "
            "leave one of them out"
        )
    settings = settings_of(options)
    if not options.local:
        settings.require_token()
    context = make_context(options, settings)
    asked = Asked(options, load_spec(options.spec), context)
    if options.dates is not None:
        return backfill(asked, options.dates)
    if options.resume:
        context = replace(context, waits_for_platform=True)
        return serve_occurrence(replace(asked, context=context))
    return run_new(asked)
