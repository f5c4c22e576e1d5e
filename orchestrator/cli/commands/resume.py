"""`orchestrator resume`: continues a batch that was stopped, interrupted or killed."""

from __future__ import annotations

import argparse

from orchestrator.app.batch.lifecycle import resume_batch
from orchestrator.app.batch.spec_changes import handle_changes
from orchestrator.app.batch_folders import LEDGER, find_batch
from orchestrator.app.notifications.announcement import announcing
from orchestrator.cli.batch_run import drive, make_context
from orchestrator.cli.command_settings import settings_of
from orchestrator.ledger import BatchLock
from orchestrator.ledger.known_batches import read_batch


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    settings = settings_of(options)
    context = make_context(options, settings)
    folder = find_batch(settings.output, options.batch)
    with BatchLock(folder, "resume"):
        note = context.reporter.note
        handle_changes(folder, None, accept=options.accept_changes, note=note)
        context = announcing(context, read_batch(folder / LEDGER).plan.notify)
        return drive(resume_batch, folder, context)
