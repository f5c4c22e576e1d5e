"""`orchestrator resume`: on with a batch that was stopped, interrupted or killed."""

from __future__ import annotations

import argparse

from orchestrator.cli.arguments import add_accept_changes, add_driving, read_ahead, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    add_accept_changes(parser)
    add_driving(parser)


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    read_ahead()
    from orchestrator.app.batch.lifecycle import resume_batch
    from orchestrator.app.batch.spec_changes import heed_changes
    from orchestrator.app.batch_folders import find_batch
    from orchestrator.cli.batch_run import drive, make_context
    from orchestrator.ledger import BatchLock

    settings = settings_of(options)
    context = make_context(options, settings)
    folder = find_batch(settings.output, options.batch)
    with BatchLock(folder, "resume"):
        heed_changes(folder, None, accept=options.accept_changes)
        return drive(resume_batch, folder, context, as_json=options.json)
