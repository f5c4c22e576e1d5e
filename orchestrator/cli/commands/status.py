"""`orchestrator status`: prints the state of a batch; the process that runs it may go on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.app.batch.needed_results import unmet
from orchestrator.app.batch_folders import LEDGER, display, find_batch, newest_of_each
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.cost_refresh import refresh
from orchestrator.errors import BatchNotFound, UsageError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.lock import is_held
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch
from orchestrator.report.expiry import expiry_warning
from orchestrator.report.failure_lines import failure_fields, failure_lines
from orchestrator.report.failures import Failures, group_failures
from orchestrator.report.summary import summary_of
from orchestrator.report.terminal import print_table, summary_table
from orchestrator.report.why import why
from orchestrator.safe_text import plain
from orchestrator.specfile.diagnostics import unknown

SHOWN = 10


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    settings = settings_of(options)
    output = settings.output
    if options.batch is not None:
        folder = find_batch(output, options.batch)
    else:
        folders = newest_of_each(output)
        if not folders:
            raise BatchNotFound(
                f"{output}: there is no batch yet; start one with `orchestrator run SPEC`"
            )
        folder = max(folders, key=lambda path: path.name)
    if options.why is not None:
        return _print_why(folder, options.why, as_json=options.json)
    refresh(folder, settings)
    with LedgerReader(folder / LEDGER) as reader:
        batch, totals = reader.batch(), reader.totals()
        failures = group_failures(reader.failed_jobs())
    held = is_held(folder)
    if options.json:
        facts = {**summary_of(batch, totals), "folder": str(folder), "is_held": held}
        print(json.dumps({**facts, "failures": failure_fields(batch, failures)}))
        return 0
    show(batch, totals, folder, is_held=held, failures=failures)
    return 0


def show(
    batch: Batch,
    totals: Totals,
    folder: Path,
    *,
    is_held: bool,
    failures: Sequence[Failures] = (),
) -> None:
    """Prints the state of a batch, for people."""
    print_table(summary_table(batch, totals))
    print(f"{_state_words(batch.state.value, held=is_held)}; {display(folder)}")
    if batch.stop_reason:
        print(f"stopped early: {plain(batch.stop_reason)}")
    warning = expiry_warning(batch, totals, display(folder), datetime.now(UTC))
    if warning:
        print(warning)
    if totals.ready:
        print(
            f"{totals.ready} runs have been READY for over a minute: the platform has no capacity"
        )
    if totals.stragglers:
        keys = ", ".join(totals.stragglers[:SHOWN])
        more = len(totals.stragglers) - SHOWN
        print(
            f"stragglers, much slower than similar runs: {keys}" + (f", {more} more" * (more > 0))
        )
    for line in failure_lines(batch, failures, display(folder)):
        print(line)


def _print_why(folder: Path, key: str, *, as_json: bool) -> int:
    """Prints what one job waits for."""
    held = is_held(folder)
    with LedgerReader(folder / LEDGER) as reader:
        report = reader.report(key)
        if report is None:
            raise UsageError(f"{folder.name}: {unknown(key, reader.keys(), 'job')}")
        reason = why(
            report,
            reader.place(report.job.key),
            reader.waits(),
            unmet=unmet(reader, report.job.needs),
            is_held=held,
        )
    if as_json:
        facts = {"job": report.job.key, "status": report.status.value, "waits_for": reason}
        print(json.dumps(facts))
    else:
        print(f"{report.job.key} ({report.status.value}) waits for {plain(reason)}")
    return 0


def _state_words(state: str, *, held: bool) -> str:
    if held:
        return "a process runs it"
    if state == "open":
        return "interrupted, perhaps killed; continue it with `orchestrator resume`"
    return "ended" if state == "ended" else "can be resumed"
