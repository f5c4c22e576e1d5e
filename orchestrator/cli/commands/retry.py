"""
`orchestrator retry`: runs failed jobs again, as new attempts in the same batch.

The last run of a job may have succeeded although its results could not be read. That run is paid
for, so this command downloads it first, and starts another one only if the run failed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from orchestrator.app.batch.lifecycle import resume_batch
from orchestrator.app.batch_folders import LEDGER, find_batch
from orchestrator.app.notifications.announcement import announcing
from orchestrator.app.outputs.collection import collect_batch
from orchestrator.app.outputs.foreign_runs import refuse_to_start
from orchestrator.app.setup.environment_secrets import require_secrets
from orchestrator.cli.batch_report import report, say_not_whole
from orchestrator.cli.batch_run import drive, make_context
from orchestrator.cli.batch_selection import selection_in
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.cli.streams import write_lines
from orchestrator.ledger import BatchLock, LedgerReader
from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.records import JobReport
from orchestrator.model.batches import BatchState
from orchestrator.model.selection import Keys, Selection
from orchestrator.model.states import FAILED_JOB_STATUSES


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    settings = settings_of(options)
    folder = find_batch(settings.output, options.batch)
    selection = selection_in(folder, options.select)
    if options.dry_run:
        # Without the lock: it changes nothing, whoever may read the batch and whatever runs it.
        refuse_to_start(folder)
        _print_jobs(_failed(folder, selection), as_json=options.json)
        return 0
    with BatchLock(folder, "retry"):
        refuse_to_start(folder)
        chosen = _failed(folder, selection)
        if not chosen:
            _print_jobs(chosen, as_json=options.json)
            return _left_code(folder)
        context = make_context(options, settings)
        wanted = {job.job.seq for job in chosen}
        with LedgerReader(folder / LEDGER) as reader:
            late = reader.rendered_late(with_settled=True)
            require_secrets((job for job in late if job.seq in wanted), os.environ)
        unread = frozenset(job.job.key for job in chosen if job.is_unread)
        if unread:
            asked = in_event_loop(collect_batch, folder, context, Keys(unread))
            chosen = [
                job
                for job in _failed(folder, selection)
                if job.job.seq in wanted and not job.is_unread
            ]
            if asked.result.reason is not None or not (chosen or asked.under_way):
                report(asked.result, as_json=options.json)
                return asked.exit_code
        context = announcing(context, read_batch(folder / LEDGER).plan.notify)
        again = partial(resume_batch, retried=[report.job for report in chosen])
        return drive(again, folder, context)


def _failed(folder: Path, selection: Selection) -> list[JobReport]:
    """The failed jobs that are selected."""
    with LedgerReader(folder / LEDGER) as reader:
        return [
            report
            for report in reader.reports()
            if report.status in FAILED_JOB_STATUSES
            and selection.matches(report.job.key, report.status, report.job.tags)
        ]


def _left_code(folder: Path) -> int:
    """The exit code where no job is retried; says what is wrong with a batch that is not whole."""
    with LedgerReader(folder / LEDGER) as reader:
        batch, counts = reader.batch(), reader.jobs_by_status()
        if batch.state is BatchState.ENDED and batch.exit_code == 0:
            return 0
    failed = sum(counts.get(status, 0) for status in FAILED_JOB_STATUSES)
    if failed:
        write_lines(f"jobs that failed and are not selected: {failed}", sys.stderr)
    else:
        say_not_whole(folder)
    return 1


def _print_jobs(chosen: Sequence[JobReport], *, as_json: bool) -> None:
    if as_json:
        jobs = [{"key": report.job.key, "status": report.status.value} for report in chosen]
        print(json.dumps({"jobs": jobs}))
        return
    for job in chosen:
        print(f"{job.status}  {job.job.key}")
    print(f"{len(chosen)} jobs" if chosen else "no failed job matches")
