"""`orchestrator abort`: aborts the live runs of a batch and keeps their results."""

from __future__ import annotations

import argparse

from orchestrator.app.batch.lifecycle import abort_batch
from orchestrator.app.batch.shared_abort import stop_shards
from orchestrator.app.batch_folders import find_batch
from orchestrator.cli.batch_run import drive, make_context
from orchestrator.cli.command_settings import settings_of
from orchestrator.errors import BatchAborted
from orchestrator.ledger import BatchLock


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    settings = settings_of(options)
    context = make_context(options, settings)
    folder = find_batch(settings.output, options.batch)
    is_closed = stop_shards(folder, context.reporter.note)
    with BatchLock(folder, "abort", is_shared=is_closed):
        code = drive(abort_batch, folder, context)
    # Aborted jobs, and jobs that never started, are what the user wanted.
    return 0 if code in {1, BatchAborted.exit_code} else code
