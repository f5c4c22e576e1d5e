"""A batch as one HTML page: no script, no external files, and all texts of Actors escaped."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from orchestrator.ledger.records import JobReport
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch
from orchestrator.model.money import money
from orchestrator.model.states import FAILED_JOB_STATUSES, JobStatus
from orchestrator.report.lines import clock, size
from orchestrator.report.summary import cost_words, moment, proven_jobs, shown_statuses, status_of

# A browser becomes slow with more rows; jobs.jsonl has them all.
MOST_JOBS = 2000
MOST_FAILED = 500
SLOWEST = 10
TONES = {
    JobStatus.SUCCEEDED: "good",
    JobStatus.SKIPPED: "odd",
    JobStatus.NOT_STARTED: "odd",
    JobStatus.RUNNING: "going",
    JobStatus.WAITING: "going",
}
"""The colour of each status; all others are bad."""


class Rows:
    """
    The jobs that a page shows, out of any number.

    Args:
        totals: they name the jobs to mark: stragglers, and those close to a cap that we chose.

    Attributes:
        failed: the first jobs that did not succeed.
        jobs: the first jobs.
        left_out: the number of further jobs.
    """

    def __init__(self, batch: Batch, totals: Totals) -> None:
        self._batch = batch
        self._stragglers = set(totals.stragglers)
        self._near_cap = {run.key for run in totals.near_cap}
        self._slowest: list[tuple[float, int, dict[str, Any]]] = []
        self.failed: list[dict[str, Any]] = []
        self.jobs: list[dict[str, Any]] = []
        self.left_out = 0

    @property
    def slowest(self) -> list[dict[str, Any]]:
        """The jobs with the longest runs, the longest first."""
        return [row for _, _, row in sorted(self._slowest, reverse=True)]

    def add(self, report: JobReport) -> None:
        """Adds a job; the caller adds all in the order of the spec."""
        row = _row(self._batch, report)
        row["is_slow"] = report.job.key in self._stragglers
        row["is_near_cap"] = report.job.key in self._near_cap
        if report.status in FAILED_JOB_STATUSES and len(self.failed) < MOST_FAILED:
            self.failed.append(row)
        if len(self.jobs) < MOST_JOBS:
            self.jobs.append(row)
        else:
            self.left_out += 1
        if row["secs"] is not None:
            # The place in the spec decides between equal times, because rows cannot be compared.
            entry = (row["secs"], report.job.seq, row)
            keep = heapq.heappush if len(self._slowest) < SLOWEST else heapq.heappushpop
            keep(self._slowest, entry)


def page(batch: Batch, totals: Totals, rows: Rows) -> Iterator[bytes]:
    """
    The page in pieces.

    Args:
        rows: all jobs, or the selected ones.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    text = files("orchestrator.report").joinpath("templates/report.html").read_text("utf-8")
    statuses = shown_statuses(batch, totals)
    total = max(1, sum(statuses.values()))
    shares = [
        {
            "status": status.value,
            "jobs": jobs,
            "tone": TONES.get(status, "bad"),
            "share": 100 * jobs / total,
        }
        for status, jobs in statuses.items()
    ]
    pieces = environment.from_string(text).generate(
        batch=batch,
        shares=shares,
        figures=_figures(batch, totals),
        rows=rows,
        orphans=totals.orphans,
    )
    for piece in pieces:
        yield piece.encode()


def _figures(batch: Batch, totals: Totals) -> list[tuple[str, str]]:
    figures = [
        ("jobs", f"{sum(totals.jobs.values()):,}"),
        ("runs", f"{totals.runs:,}"),
        ("items", f"{totals.items:,}"),
        ("size", size(totals.size_bytes)),
        (cost_words(totals), money(totals.cost_usd)),
        ("requests", f"{batch.requests:,}"),
        ("started", moment(batch.created_at) or ""),
    ]
    if totals.unproven:
        figures.append(("jobs proven complete", f"{proven_jobs(totals):,}"))
    if totals.reused:
        figures.append(("reused from earlier batches", f"{totals.reused:,}"))
    if batch.ended_at is not None:
        secs = (batch.ended_at - batch.created_at).total_seconds()
        figures += [("ended", moment(batch.ended_at) or ""), ("time", clock(secs))]
    return figures


def _row(batch: Batch, report: JobReport) -> dict[str, Any]:
    secs = None
    if report.started_at is not None and report.finished_at is not None:
        secs = (report.finished_at - report.started_at).total_seconds()
    status = status_of(batch, report.status)
    return {
        "key": report.job.key,
        "status": status.value,
        "tone": TONES.get(status, "bad"),
        "attempts": report.attempts,
        "run": report.run_id,
        "items": report.items,
        "secs": secs,
        "time": None if secs is None else f"{secs:,.1f} s",
        "cost": None if report.cost_usd is None else money(report.cost_usd),
        "error": report.error,
    }
