"""What `orchestrator run --dates` does: one batch after the other, one for each day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from orchestrator.app.batch.lifecycle import resume_batch
from orchestrator.app.batch_folders import survey
from orchestrator.app.occurrences.schedules import occurrence_of
from orchestrator.cli.batch_run import drive
from orchestrator.cli.run_command import RunCommand, print_note, run_new
from orchestrator.ledger import BatchLock


def backfill(command: RunCommand, days: Sequence[date]) -> int:
    """
    Runs a batch for each day without a successful one, and resumes interrupted ones.

    Returns:
        The code of the first day that stops early, which ends the command. Otherwise 1 if jobs
        failed, else 0.
    """
    series = command.series(None)
    worst = 0
    for day in days:
        occurrence = occurrence_of(day, command.schedule, datetime.now(UTC))
        of_day = [
            one
            for one in survey(command.home).found
            if one.batch.occurrence == occurrence and series.agrees(one.batch.series)
        ]
        if any(one.batch.is_done and one.batch.exit_code == 0 for one in of_day):
            print_note(f"{day}: skipped, because a batch of this day has succeeded")
            continue
        print_note(f"{day}:")
        begun = next((one.folder for one in of_day if not one.batch.is_done), None)
        code = run_new(command, day) if begun is None else _resume_day(command, begun)
        # Failed jobs concern one day; what stops a batch early would stop the next one too.
        if code not in (0, 1):
            return code
        worst = max(worst, code)
    return worst


def _resume_day(command: RunCommand, folder: Path) -> int:
    # Locked before the spec is compared: no other process can change the batch in between.
    with BatchLock(folder):
        command.handle_changes(folder)
        return drive(resume_batch, folder, command.context, as_json=command.is_json)
