"""Checks the files of a batch against its ledger, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson

from orchestrator.app.batch_folders import LEDGER
from orchestrator.collector.disk_check import Found, look_at, problem_of_file
from orchestrator.collector.items_file import ItemsFile
from orchestrator.collector.other_datasets import FOLDER, shared_file
from orchestrator.ledger import JobReport, LedgerReader
from orchestrator.model.selection import Selection
from orchestrator.model.states import AttemptState


def verify(folder: Path, selection: Selection) -> Iterator[tuple[JobReport, tuple[str, ...]]]:
    """
    The problems with the files of each job whose last attempt has a run and is over, as a stream.

    Raises:
        UsageError: the ledger cannot be read.
    """
    with LedgerReader(folder / LEDGER) as reader:
        for report in reader.reports():
            job = report.job
            if report.state is not AttemptState.SETTLED or report.run_id is None:
                continue
            if selection.matches(job.key, report.status, job.tags):
                found = check_files(folder / "jobs" / job.key, report)
                yield report, (*found.problems, *_problems_of_shared(folder, report))


def _problems_of_shared(folder: Path, report: JobReport) -> Iterator[str]:
    """Those of the datasets that runs share; the report of one job has what was collected."""
    for other in report.datasets:
        if other.is_shared and other.sha256 is not None:
            path = folder / FOLDER / shared_file(other.name, report.job.collect.query)
            problem = problem_of_file(path, other.size_bytes, other.sha256)
            if problem is not None:
                yield f"{FOLDER}/{problem} (shared by the runs of the batch)"


def check_files(folder: Path, report: JobReport) -> Found:
    """
    Compares the files of a job with what its report says was collected.

    Args:
        folder: of the job.
    """
    found = look_at(
        folder,
        report.job,
        items_of(report),
        records=report.records,
        missing=report.missing,
        datasets=report.datasets,
    )
    if report.job.collect.run and is_of_another_run(folder, report):
        return replace(found, problems=(*found.problems, "run.json is that of another run"))
    return found


def is_of_another_run(folder: Path, report: JobReport) -> bool:
    """Whether the files of a job are of an earlier attempt: another machine has the last one."""
    try:
        kept = orjson.loads((folder / "run.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(kept, dict) and kept.get("id", report.run_id) != report.run_id


def items_of(report: JobReport) -> ItemsFile | None:
    """A job's dataset file, as it was collected; None if it never was."""
    if report.sha256 is None or report.size_bytes is None:
        return None
    return ItemsFile(
        items=report.items or 0,
        size_bytes=report.size_bytes,
        sha256=report.sha256,
        data=None,
        stored=stored_of(report),
        counted=stored_of(report),
        proof=report.proof,
        unproven=report.unproven,
    )


def stored_of(report: JobReport) -> int:
    """How many items of the platform are in a job's dataset file, as far as known."""
    return report.items or 0 if report.proof is None else report.proof.stored
