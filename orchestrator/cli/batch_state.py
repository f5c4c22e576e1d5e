"""
The state of a batch, for people: as one look at the live view, or as the closing table.

What draws on terminals is imported when it is needed, because it takes long to import.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from orchestrator.app.batch_folders import display
from orchestrator.app.clock import utc_now
from orchestrator.cli.streams import write_lines
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import Batch
from orchestrator.model.progress import Progress
from orchestrator.pasted_command import pasted_command
from orchestrator.report.expiry import expiry_warning
from orchestrator.report.failure_lines import failure_lines, sweep_lines
from orchestrator.report.failures import group_failures
from orchestrator.safe_text import plain

SHOWN = 10


def print_state(reader: LedgerReader, batch: Batch, folder: Path, *, is_held: bool) -> None:
    """Prints the figures of a batch, what it needs, and its failures."""
    from orchestrator.report.terminal import print_table, summary_table

    totals = reader.totals()
    print_table(summary_table(batch, totals))
    _print(f"{_state_words(batch.state.value, folder, held=is_held)}; {display(folder)}")
    if batch.stop_reason:
        _print(f"stopped early: {plain(batch.stop_reason)}")
    warning = expiry_warning(batch, totals, display(folder), utc_now())
    if warning:
        _print(warning)
    if totals.ready:
        _print(
            f"{totals.ready} runs have been READY for over a minute: the platform has no capacity"
        )
    if totals.stragglers:
        keys = ", ".join(totals.stragglers[:SHOWN])
        more = len(totals.stragglers) - SHOWN
        _print(
            f"stragglers, much slower than similar runs: {keys}" + (f", {more} more" * (more > 0))
        )
    groups = group_failures(reader.failed_jobs())
    lines = failure_lines(batch, groups, display(folder), is_held=is_held)
    for line in [*lines, *sweep_lines(totals.sweeps)]:
        _print(line)


def print_live(reader: LedgerReader, batch: Batch, progress: Progress, folder: Path) -> None:
    """Prints what `watch` shows of a batch that a process runs, and all its failures."""
    from orchestrator.cli.live_view import print_once

    # The failures follow, grouped and with all that is known of them.
    print_once(replace(progress, failures=()), utc_now(), folder)
    groups = group_failures(reader.failed_jobs())
    if groups:
        _print("")
    for line in failure_lines(batch, groups, display(folder), is_held=True):
        _print(line)


def _print(line: str) -> None:
    write_lines(line, sys.stdout)


def _state_words(state: str, folder: Path, *, held: bool) -> str:
    if held:
        return "a process runs it"
    if state == "ended":
        return "ended"
    command = pasted_command("resume", display(folder))
    if state == "open":
        return f"interrupted, perhaps killed; continue it with `{command}`"
    return f"can be resumed with `{command}`"
