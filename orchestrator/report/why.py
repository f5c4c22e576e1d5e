"""Explains what a job waits for. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from orchestrator.ledger.records import JobReport, Place
from orchestrator.model.jobs import demand_of
from orchestrator.model.progress import Wait
from orchestrator.model.states import AttemptState, JobStatus, RunStatus
from orchestrator.report.summary import moment

SHOWN = 5


def why(
    report: JobReport,
    place: Place,
    waits: Sequence[Wait],
    *,
    unmet: Sequence[str] = (),
    resume: str | None,
) -> str:
    """
    What a job waits for, or its progress if it does not wait.

    Args:
        waits: the reasons that the process of the batch recorded last.
        unmet: keys of needed jobs that have not succeeded.
        resume: the command that continues the batch; None while a process holds it.
    """
    # The first thing that holds the job back is named: a run, the process, a pause, needs, limits.
    if report.status is JobStatus.RUNNING:
        going = _going(report)
        return going if resume is None else f"{going}; no process runs the batch: {resume}"
    if report.status is not JobStatus.WAITING:
        return "nothing: it is settled" + (f", {report.error}" if report.error else "")
    if resume is not None:
        return f"a process: none runs the batch; continue it with `{resume}`"
    ready_at = datetime.fromtimestamp(place.ready_at, UTC)
    if ready_at > datetime.now(UTC):
        return f"attempt {report.attempts + 1}, at {moment(ready_at)}, after: {report.error}"
    if unmet:
        more = f" and {len(unmet) - SHOWN} more" if len(unmet) > SHOWN else ""
        return f"the jobs that it needs: {', '.join(unmet[:SHOWN])}{more}"
    reason = _reason(report, place, waits)
    if reason is None:
        return "nothing: it is about to start"
    return f"{reason}; jobs before it: {place.ahead}" if place.ahead else reason


def _reason(report: JobReport, place: Place, waits: Sequence[Wait]) -> str | None:
    demand = demand_of(report.job)
    memory = place.remedy.memory_mbytes or demand.memory_mbytes
    for wait in waits:
        if (
            wait.target == demand.target
            and wait.pools == demand.pools
            and memory in (None, wait.memory_mbytes)
        ):
            return wait.reason
    return None


def _going(report: JobReport) -> str:
    match report.state:
        case AttemptState.INTENT:
            return "the answer to its start"
        case AttemptState.UNCONFIRMED:
            return "the search for its run: the answer to its start was lost"
        case AttemptState.FINISHED:
            return (
                f"its results: run {report.run_id} has ended as {report.run_status}; the download "
                "starts when the platform has counted them (counts_settle_secs)"
            )
        case _ if report.run_status == RunStatus.READY:
            return f"the platform to begin run {report.run_id}, whose last known status is READY"
        case _:
            return f"run {report.run_id}, whose last known status is {report.run_status}"
