"""`orchestrator abort`: aborts the live runs of a batch and keeps their results."""

from __future__ import annotations

import argparse

from orchestrator.app.batch.lifecycle import abort_batch
from orchestrator.app.batch.shared_abort import stop_shards
from orchestrator.app.batch_folders import LEDGER, find_batch
from orchestrator.cli.batch_run import drive, make_context
from orchestrator.cli.command_settings import settings_of
from orchestrator.errors import BatchAborted
from orchestrator.ledger import BatchLock, LedgerReader


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    settings = settings_of(options)
    context = make_context(options, settings)
    folder = find_batch(settings.output, options.batch)
    is_closed = stop_shards(folder, context.reporter.note)
    with BatchLock(folder, "abort", is_shared=is_closed):
        code = drive(abort_batch, folder, context)
    if code not in {1, BatchAborted.exit_code}:
        return code
    # Aborted jobs, and jobs that never started, are what the user wanted; runs that continue and
    # cost money are not.
    with LedgerReader(folder / LEDGER) as reader:
        return 1 if reader.live_runs() else 0
