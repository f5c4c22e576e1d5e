"""
`orchestrator abort`: ends the live runs of a batch that nobody drives, and keeps what they made.
"""

from __future__ import annotations

import argparse

from orchestrator.cli.arguments import add_driving, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    add_driving(parser)


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    from orchestrator.app.batch.lifecycle import abort_batch
    from orchestrator.app.batch_folders import find_batch
    from orchestrator.cli.batch_run import drive, make_context
    from orchestrator.errors import BatchAborted
    from orchestrator.ledger import BatchLock

    settings = settings_of(options)
    context = make_context(options, settings)
    folder = find_batch(settings.output, options.batch)
    with BatchLock(folder, "abort"):
        code = drive(abort_batch, folder, context, as_json=options.json)
    # That jobs are left to start, or were aborted, is what was asked for.
    return 0 if code in {1, BatchAborted.exit_code} else code
