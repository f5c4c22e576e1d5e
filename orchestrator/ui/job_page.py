"""The page of a job: its attempts, its input, its first items and the end of its log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from orchestrator.app.batch_folders import LEDGER, display
from orchestrator.ledger import JobReport, LedgerReader
from orchestrator.ledger.lock import is_held
from orchestrator.ledger.records import ListedAttempt
from orchestrator.model.batches import Batch
from orchestrator.model.money import money
from orchestrator.model.states import JobStatus
from orchestrator.model.zones import zone_of
from orchestrator.pasted_command import pasted_command
from orchestrator.report.console_urls import run_url
from orchestrator.report.lines import clock, size
from orchestrator.report.page.document import section
from orchestrator.report.page.job_rows import ShownJob, secs_of, shown_job
from orchestrator.report.page.outcome import Figure, tone_of
from orchestrator.report.page.zone_times import at_second
from orchestrator.safe_text import plain
from orchestrator.ui.job_files import input_text, items_view, log_tail


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """A line of the table of attempts."""

    number: int
    tone: str
    outcome: str
    marks: Sequence[str]
    run: str
    run_address: str | None
    began: str
    time: str
    memory: str
    items: str
    cost: str
    build: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """The top of the page of a job."""

    tone: str
    status: str
    error: str
    figures: Sequence[Figure]
    params: Sequence[tuple[str, str]]
    attempts: Sequence[AttemptView]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """
    What a browser gets of a job.

    Attributes:
        sections: HTML by the name of the section.
        is_live: whether a process runs the batch, and the job is not settled.
    """

    batch: Batch
    key: str
    zone: tzinfo
    sections: dict[str, str]
    is_live: bool


def job_page(folder: Path, key: str, address: str) -> JobPage | None:
    """
    Reads a job and its files; None when the batch has no job of this key. It blocks.

    Args:
        address: of the page.

    Raises:
        LedgerCorrupt, LedgerVersionMismatch, OutputNotWritable: the batch cannot be read.
    """
    with LedgerReader(folder / LEDGER) as reader, reader.at_one_instant():
        batch = reader.batch()
        # It also tells which variables hold the job's secrets, so that nothing below shows one.
        report, listed = reader.report(key), reader.listed_one(key)
    if report is None or listed is None:
        return None
    job, zone = shown_job(batch, listed), zone_of(batch)
    files = folder / "jobs" / report.job.key
    return JobPage(
        batch=batch,
        key=report.job.key,
        zone=zone,
        sections={
            "job": section("job", view=_view(batch, job, zone)),
            "input": section("input", text=input_text(files, report), words=_input_words(report)),
            "items": section("items", view=items_view(files, report)),
            "log": _log_section(files / "log.txt", folder, report, address),
        },
        is_live=is_held(folder) and job.status in {JobStatus.WAITING, JobStatus.RUNNING},
    )


def _log_section(path: Path, folder: Path, report: JobReport, address: str) -> str:
    tail = log_tail(path)
    text, whole = tail or (None, 0)
    return section(
        "log",
        text=text,
        words=f"The end of {size(whole)}." if text is not None and len(text) < whole else "",
        command=pasted_command("logs", display(folder), report.job.key),
        address=f"{address}/log.txt",
    )


def _input_words(report: JobReport) -> str:
    given = report.sent.input
    late = ", with expressions in place of secrets" if given.late_paths else ""
    return f"{size(given.size_bytes)}, {plain(given.content_type)}{late}"


def _view(batch: Batch, job: ShownJob, zone: tzinfo) -> JobView:
    attempts = job.listed.attempts
    figures = [
        Figure(name="Actor or task", value=job.actor),
        Figure(name="attempts", value=f"{len(attempts):,}"),
    ]
    if job.items is not None:
        figures.append(Figure(name="items", value=f"{job.items:,}"))
    if job.secs is not None:
        figures.append(Figure(name="time", value=clock(job.secs), remark="of its last run"))
    if job.cost_usd is not None:
        figures.append(Figure(name="cost", value=money(job.cost_usd), remark="of all its runs"))
    if job.listed.tags:
        figures.append(Figure(name="tags", value=", ".join(job.listed.tags)))
    return JobView(
        tone=tone_of(job.status),
        status=job.status.value,
        error=plain(job.listed.error or ""),
        figures=figures,
        params=list(job.params.items()),
        attempts=[_attempt(batch, one, zone) for one in attempts],
    )


def _attempt(batch: Batch, one: ListedAttempt, zone: tzinfo) -> AttemptView:
    secs = secs_of(one)
    outcome = one.outcome or one.run_status or one.state.value
    marks = {
        "found again": one.is_adopted,
        "resurrected": one.resurrected_at is not None,
        "reused": one.reused_from is not None,
        "straggler": one.is_straggler,
        f"other {', '.join(json.loads(one.input_changes or '{}'))}": one.input_changes is not None,
    }
    is_known = outcome in set(JobStatus)
    return AttemptView(
        number=one.number,
        tone=tone_of(JobStatus(outcome)) if is_known else "going" if one.is_open else "bad",
        outcome=outcome,
        marks=[mark for mark, holds in marks.items() if holds],
        run=one.run_id or "",
        run_address=run_url(batch, one.run_id),
        began="" if one.started_at is None else at_second(one.started_at, zone),
        time="" if secs is None else clock(secs),
        memory="" if one.memory_mbytes is None else f"{one.memory_mbytes:,} MB",
        items="" if one.items is None else f"{one.items:,}",
        cost="" if one.cost_usd is None else money(one.cost_usd),
        build=one.build_number or "",
        error=plain(one.error or ""),
    )
