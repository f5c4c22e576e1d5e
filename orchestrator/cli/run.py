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
    add_driving,
    pair,
    read_ahead,
    settings_of,
)

if TYPE_CHECKING:
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
        type=Path,
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
    add_driving(parser)


def call(options: argparse.Namespace) -> int:
    """
    Runs the command.
    """
    read_ahead()
    from orchestrator.app.batch import start_prepared
    from orchestrator.app.preparing import RunRequest, prepared_batch
    from orchestrator.cli.driving import drive, make_context
    from orchestrator.spec import load_spec

    settings = settings_of(options)
    context = make_context(options, settings)
    if options.resume:
        name = load_spec(options.spec).spec.batch.name
        code = _resume_newest(settings.output / name, context, options)
        if code is not None:
            return code
    if not options.local:
        settings.require_token()
    request = RunRequest(
        spec_path=options.spec,
        output=settings.output,
        params=dict(options.param),
        local=_local_plan(options, settings.output) if options.local else None,
    )
    with prepared_batch(request) as prepared:
        return drive(start_prepared, prepared, context, as_json=options.json)


def _resume_newest(home: Path, context: BatchContext, options: argparse.Namespace) -> int | None:
    """
    Goes on with the newest batch when it is not ended; None when there is nothing to go on with.
    """
    from orchestrator.app.batch import resume_batch
    from orchestrator.app.changes import take_up_changes
    from orchestrator.app.folders import LEDGER, newest
    from orchestrator.cli.driving import drive
    from orchestrator.ledger import BatchLock, LedgerReader
    from orchestrator.model.batches import BatchState

    folder = newest(home)
    if folder is None:
        return None
    with BatchLock(folder):
        with LedgerReader(folder / LEDGER) as reader:
            if reader.batch().state is BatchState.ENDED:
                return None
        take_up_changes(folder, options.spec, accept=options.accept_changes)
        return drive(resume_batch, folder, context, as_json=options.json)


def _local_plan(options: argparse.Namespace, output: Path) -> LocalPlatformPlan:
    from orchestrator.app.folders import PLATFORM
    from orchestrator.model.batches import LocalPlatformPlan

    beside = options.spec.parent / "actors"
    actors = options.actors or ([beside] if beside.is_dir() else [])
    return LocalPlatformPlan(
        data_dir=str((output / PLATFORM).absolute()),
        actors_dirs=tuple(str(path.absolute()) for path in actors),
    )
