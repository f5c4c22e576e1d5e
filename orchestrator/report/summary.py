"""The contents of `summary.json` and the lines of `jobs.jsonl`. No I/O."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

from pydantic import JsonValue

from orchestrator.ledger.records import ListedAttempt, ListedJob
from orchestrator.ledger.statistics import Totals
from orchestrator.ledger.stored_values import stored
from orchestrator.model.attempts import OtherDataset
from orchestrator.model.batches import Batch, BatchState
from orchestrator.model.proofs import MORE, SHARED, Proof, proof_from
from orchestrator.model.states import JobStatus
from orchestrator.report.expiry import expires_at

VERSION = 1
"""The version of both files. New fields are added; none are changed or removed."""

NEWEST = "stop_kind"
"""The field of `summary.json` that was added last: a file without it is of an earlier version."""

WAITING, NOT_STARTED = JobStatus.WAITING, JobStatus.NOT_STARTED

NO_ATTEMPT: dict[str, JsonValue] = {
    "attempts": 0, "run_id": None, "dataset_id": None, "items": None, "bytes": None, "sha256": None,
    "started_at": None, "finished_at": None, "cost_usd": None, "error": None, "run_status": None,
    "build": None, "reused_from": None, "proof": None, "unproven": None, "datasets": [],
}  # fmt: skip
"""What a line of `jobs.jsonl` says of a job without an attempt."""

JOB_FIELDS = ("key", "params", "status", *NO_ATTEMPT, "input_sha256", "input_changes")
"""The fields of a line of `jobs.jsonl`."""


def summary_of(batch: Batch, totals: Totals) -> dict[str, JsonValue]:
    """The totals of a batch, as `summary.json` holds them."""
    jobs = shown_statuses(batch, totals)
    ended_at = batch.ended_at
    return {
        "version": VERSION,
        "batch": batch.name,
        "id": batch.id,
        "number": batch.number,
        "occurrence": moment(batch.occurrence),
        "series": batch.series.id,
        "platform": batch.platform,
        "triggered_by": batch.triggered_by.value,
        "caller": totals.calls[0].caller or None if totals.calls else None,
        "calls": len(totals.calls),
        "state": batch.state.value,
        "exit_code": batch.exit_code,
        "stop_reason": batch.stop_reason,
        "jobs": {status.value: jobs.get(status, 0) for status in JobStatus},
        "jobs_total": sum(jobs.values()),
        "attempts": totals.attempts,
        "runs": totals.runs,
        "adopted": totals.adopted,
        "reused": totals.reused,
        "stragglers": [*totals.stragglers],
        "near_cap": [run.key for run in totals.near_cap],
        "stray_runs": [
            {"run_id": orphan.run_id, "mark": orphan.mark, "status": orphan.status}
            for orphan in totals.orphans
        ],
        "sweeps": [
            {
                "name": sweep.name,
                "sources": sweep.sources,
                "failed": sweep.failed,
                "jobs": sweep.jobs,
                "left_out": sweep.left_out,
                "problem": sweep.problem,
            }
            for sweep in totals.sweeps
        ],
        "items": totals.items,
        "bytes": totals.size_bytes,
        "proven": proven_jobs(totals),
        "unproven": {**totals.unproven},
        "cost_usd": number(totals.cost_usd),
        "paid_again_usd": number(totals.paid_again_usd),
        "cost_is_provisional": totals.cost_is_provisional,
        "uncollected": totals.uncollected.runs if totals.uncollected else 0,
        "results_expire_at": moment(expires_at(batch, totals)),
        "requests": batch.requests,
        "retries": batch.retries,
        "started_at": moment(batch.created_at),
        "finished_at": moment(ended_at),
        "duration_secs": None if ended_at is None else round(batch.secs_until(ended_at), 3),
        "active_secs": None if totals.active_secs is None else round(totals.active_secs, 3),
        "command": totals.calls[0].command if totals.calls else None,
        NEWEST: batch.stop_kind,
    }


def proven_jobs(totals: Totals) -> int:
    """The number of jobs whose items on disk are proven complete."""
    return sum(totals.jobs.values()) - sum(totals.unproven.values())


def shown_statuses(batch: Batch, totals: Totals) -> dict[JobStatus, int]:
    """Jobs by status for readers: in a closed batch, a waiting job counts as not started."""
    jobs = dict(totals.jobs)
    if batch.state is not BatchState.OPEN and JobStatus.WAITING in jobs:
        jobs[JobStatus.NOT_STARTED] = jobs.pop(JobStatus.WAITING)
    return jobs


def status_of(batch: Batch, status: JobStatus) -> JobStatus:
    """The status of a job for readers."""
    return NOT_STARTED if status is WAITING and batch.state is not BatchState.OPEN else status


def job_line(batch: Batch, job: ListedJob) -> dict[str, JsonValue]:
    """One line of `jobs.jsonl`."""
    last = job.attempts[-1] if job.attempts else None
    changes = None if last is None else last.input_changes
    return {
        "key": job.key,
        "params": {**job.params},
        # As text: to write a member of an Enum takes far longer.
        "status": str(status_of(batch, job.status)),
        **(NO_ATTEMPT if last is None else _attempt_fields(last)),
        "error": job.error,
        "input_sha256": job.input_sha256,
        "input_changes": None if changes is None else json.loads(changes),
    }


def _attempt_fields(last: ListedAttempt) -> dict[str, JsonValue]:
    """What a line says of the last attempt of a job."""
    return {
        "attempts": last.number,
        "run_id": last.run_id,
        "dataset_id": last.dataset_id,
        "items": last.items,
        "bytes": last.size_bytes,
        "sha256": last.sha256,
        "started_at": moment(last.started_at),
        "finished_at": moment(last.finished_at),
        "cost_usd": None if last.cost_usd is None else number(last.cost_usd),
        "error": None,
        "run_status": last.run_status,
        "build": last.build_number,
        "reused_from": last.reused_from,
        "proof": None if last.proof is None else _proof_fields(last.proof),
        "unproven": last.unproven,
        "datasets": [_dataset_fields(other) for other in last.datasets],
    }


def _dataset_fields(other: OtherDataset) -> dict[str, JsonValue]:
    proof = proof_from(other.proof)
    return {
        "name": other.name,
        "dataset_id": other.dataset_id,
        "items": other.items,
        "bytes": other.size_bytes,
        "sha256": other.sha256,
        "proof": None if proof is None else _proof_fields(proof),
        "unproven": SHARED if other.is_shared else None if proof is not None else MORE,
    }


def _proof_fields(proof: Proof) -> dict[str, JsonValue]:
    return {"by": str(proof.by), "after_secs": proof.after_secs, "stored": proof.stored}


def times(batch: Batch, totals: Totals) -> dict[str, float]:
    """
    The durations of a batch that has ended, in seconds, by their labels.

    The time from its start to its end is one figure; the time that commands worked on it is
    another one if several did.
    """
    if batch.ended_at is None:
        return {}
    secs = batch.secs_until(batch.ended_at)
    if totals.active_secs is None or len(totals.calls) == 1:
        return {"time": secs}
    return {"time from start to end": secs, "active time": totals.active_secs}


def cost_words(totals: Totals) -> str:
    """The label of the cost of a batch."""
    return "cost (provisional)" if totals.cost_is_provisional else "cost"


def moment(time: datetime | None) -> str | None:
    """A time as the files hold it: ISO 8601, UTC, milliseconds."""
    text = stored(time)
    return None if text is None else f"{text.removesuffix('+00:00')}Z"


def number(money: Decimal) -> float:
    """Money as a JSON number."""
    # JSON has no decimals; the ledger keeps the exact amount.
    return float(money)
