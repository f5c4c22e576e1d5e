"""
`orchestrator run`: a spec as a new batch, or on with the newest unfinished one.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.common import (
    SPEC_HELP,
    add_accept_changes,
    add_choice,
    add_driving,
    choice_of,
    given_path,
    one_day,
    pair,
    read_ahead,
    settings_of,
    span_of_days,
)

if TYPE_CHECKING:
    from datetime import date

    from orchestrator.app.context import BatchContext
    from orchestrator.model.batches import LocalPlatformPlan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    The command's options.
    """
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
        help="go on with the newest unfinished batch of this name, if there is one",
    )
    add_accept_changes(parser)
    parser.add_argument(
        "--param", metavar="K=V", type=pair, action="append", default=[], help="set a parameter"
    )
    add_choice(parser)
    parser.add_argument(
        "--force", action="store_true", help="run jobs although `reuse` would take earlier results"
    )
    days = parser.add_mutually_exclusive_group()
    days.add_argument(
        "--date",
        metavar="D",
        type=one_day,
        help="the day that `{{ date }}` is, as 2026-11-25 (today)",
    )
    days.add_argument(
        "--dates",
        metavar="A..B",
        type=span_of_days,
        help="a batch for each of these days, both included, that has none which succeeded",
    )
    add_driving(parser)


def call(options: argparse.Namespace) -> int:
    """
    Runs the command.
    """
    read_ahead()
    from orchestrator.cli.driving import make_context

    settings = settings_of(options)
    context = make_context(options, settings)
    if options.dates is not None:
        return _backfill(options, context)
    if options.resume:
        code = _resume_newest(options, context)
        if code is not None:
            return code
    return _start(options, context, options.date)


def _start(options: argparse.Namespace, context: BatchContext, day: date | None) -> int:
    """
    A new batch.
    """
    from orchestrator.app.batch import start_prepared
    from orchestrator.app.preparing import RunRequest, prepared_batch
    from orchestrator.cli.driving import drive

    if not options.local:
        context.settings.require_token()
    output = context.settings.output
    request = RunRequest(
        spec_path=options.spec,
        output=output,
        params=dict(options.param),
        choice=choice_of(options),
        day=day,
        local=_local_plan(options, output) if options.local else None,
        remote=context.settings.remote,
    )
    with prepared_batch(request) as prepared:
        return drive(start_prepared, prepared, context, as_json=options.json)


def _resume_newest(options: argparse.Namespace, context: BatchContext) -> int | None:
    """
    Goes on with the newest batch when it is not ended; None when there is nothing to go on with.
    """
    from orchestrator.app.folders import newest
    from orchestrator.spec import load_spec

    folder = newest(context.settings.output / load_spec(options.spec).spec.batch.name)
    return None if folder is None else _resume(folder, options, context)


def _resume(folder: Path, options: argparse.Namespace, context: BatchContext) -> int | None:
    """
    Goes on with a batch; None when it has ended.
    """
    from orchestrator.app.batch import resume_batch
    from orchestrator.app.changes import take_up_changes
    from orchestrator.app.folders import LEDGER
    from orchestrator.cli.driving import drive
    from orchestrator.ledger import BatchLock, LedgerReader
    from orchestrator.model.batches import BatchState

    with BatchLock(folder):
        with LedgerReader(folder / LEDGER) as reader:
            if reader.batch().state is BatchState.ENDED:
                return None
        take_up_changes(folder, options.spec, accept=options.accept_changes)
        return drive(resume_batch, folder, context, as_json=options.json)


def _backfill(options: argparse.Namespace, context: BatchContext) -> int:
    """
    A batch for each day that has none which succeeded; on with those that were cut short.

    Returns:
        the code of the day that was stopped early, which ends it; else 1 when jobs failed, else 0.
    """
    import sys

    from orchestrator.app.backfill import Day, day_of
    from orchestrator.spec import load_spec

    home = context.settings.output / load_spec(options.spec).spec.batch.name
    worst = 0
    for day in options.dates:
        found = day_of(home, day, params=dict(options.param), choice=choice_of(options))
        if found is Day.DONE:
            sys.stderr.write(f"{day}: is there already\n")
            continue
        sys.stderr.write(f"{day}:\n")
        code = None if found is Day.MISSING else _resume(found, options, context)
        code = _start(options, context, day) if code is None else code
        if code not in (0, 1):
            return code
        worst = max(worst, code)
    return worst


def _local_plan(options: argparse.Namespace, output: Path) -> LocalPlatformPlan:
    from orchestrator.app.folders import PLATFORM
    from orchestrator.model.batches import LocalPlatformPlan

    beside = options.spec.parent / "actors"
    actors = options.actors or ([beside] if beside.is_dir() else [])
    return LocalPlatformPlan(
        data_dir=str((output / PLATFORM).absolute()),
        actors_dirs=tuple(str(path.absolute()) for path in actors),
    )
