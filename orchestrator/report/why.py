"""What a job waits for, in words. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from orchestrator.ledger.records import JobReport, Place
from orchestrator.model.batches import Wait
from orchestrator.model.jobs import demand_of
from orchestrator.model.states import AttemptState, JobStatus, RunStatus
from orchestrator.report.summary import moment

SHOWN = 5


def why(
    report: JobReport,
    place: Place,
    waits: Sequence[Wait],
    *,
    unmet: Sequence[str] = (),
    is_held: bool,
) -> str:
    """
    What a job waits for; or how far it is, when it does not wait.

    Args:
        waits: why jobs wait, as the process that runs the batch told it last.
        unmet: keys of jobs that it needs and that have not succeeded.
        is_held: whether there is such a process.
    """
    if report.status is JobStatus.RUNNING:
        going = _going(report)
        return going if is_held else f"{going}; no process is at the batch: resume it"
    if report.status is not JobStatus.WAITING:
        return "nothing: it is over" + (f", {report.error}" if report.error else "")
    if not is_held:
        return "a process: none is at the batch; `orchestrator resume` goes on with it"
    ready_at = datetime.fromtimestamp(place.ready_at, UTC)
    if ready_at > datetime.now(UTC):
        return f"attempt {report.attempts + 1}, at {moment(ready_at)}, after: {report.error}"
    if unmet:
        more = f" and {len(unmet) - SHOWN} more" if len(unmet) > SHOWN else ""
        return f"the jobs that it needs: {', '.join(unmet[:SHOWN])}{more}"
    reason = _reason(report, place, waits)
    if reason is None:
        return "nothing: it is about to be started"
    return f"{reason}; {place.ahead} jobs go before it" if place.ahead else reason


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
            return "its run to be found: the answer to its start was lost"
        case AttemptState.FINISHED:
            return (
                f"its results: run {report.run_id} has ended as {report.run_status}; they are "
                "downloaded when the platform has counted them (counts_settle_secs)"
            )
        case _ if report.run_status == RunStatus.READY:
            return f"the platform to begin run {report.run_id}, which was READY when last looked at"
        case _:
            return f"run {report.run_id}, which was {report.run_status} when last looked at"
