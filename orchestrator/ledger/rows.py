"""Turns rows into values and back."""

from __future__ import annotations

import zlib
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from orchestrator.errors import BatchDeleted
from orchestrator.ledger.changed_ledger import reads_ledger
from orchestrator.ledger.definitions import demand_from, job_of
from orchestrator.ledger.records import Failure, JobReport, RunCost, WaitingJob
from orchestrator.ledger.store import Row
from orchestrator.ledger.stored_values import (
    datasets_from,
    datasets_text,
    instant,
    plan_from,
    plan_text,
    remedy_of,
    stored,
)
from orchestrator.model.attempts import Attempt, Collected, make_mark, sent_job
from orchestrator.model.batches import Batch, BatchCall, BatchState, Trigger
from orchestrator.model.ids import BatchId, BatchName, DatasetId, JobKey, Mark, RunId, StoreId
from orchestrator.model.jobs import Demand
from orchestrator.model.proofs import proof_from
from orchestrator.model.runs import Run
from orchestrator.model.states import (
    CLOSED_ATTEMPT_STATES,
    TERMINAL_RUN_STATUSES,
    AttemptState,
    JobStatus,
    RunStatus,
)


def batch_values(batch: Batch) -> dict[str, Any]:
    """The parameters of `insert_batch`."""
    return {
        "id": batch.id,
        "name": batch.name,
        "mark": batch.mark,
        "created_at": stored(batch.created_at),
        "plan": plan_text(batch.plan),
        "occurrence": stored(batch.occurrence),
        "platform": batch.platform,
        "account": batch.account,
        "series": batch.series.id,
        "triggered_by": batch.triggered_by,
    }


def row_of_batch(row: Row | None) -> Row:
    """
    The row that a statement finds as long as the batch exists.

    Raises:
        BatchDeleted: another process has deleted the batch at the server.
    """
    if row is None:
        raise BatchDeleted("another process has deleted this batch, for example with `prune`")
    return row


@reads_ledger
def batch_of(found: Row | None) -> Batch:
    """
    The batch of a `batch` row.

    Raises:
        BatchDeleted: as `row_of_batch`.
    """
    row = row_of_batch(found)
    return Batch(
        id=BatchId(row["id"]),
        name=BatchName(row["name"]),
        mark=row["mark"],
        created_at=datetime.fromisoformat(row["created_at"]),
        plan=plan_from(row["plan"]),
        state=BatchState(row["state"]),
        ended_at=instant(row["ended_at"]),
        exit_code=row["exit_code"],
        stop_reason=row["stop_reason"],
        requests=row["requests"],
        retries=row["retries"],
        keeps_days=row["keeps_days"],
        **_occurrence_of(row),
        # Earlier ledgers lack them.
        **{name: row[name] for name in ("max_runs", "max_memory_mbytes") if name in row.keys()},  # noqa: SIM118
    )


@reads_ledger
def call_of(row: Row) -> BatchCall:
    """The call of a `select_calls` row."""
    return BatchCall(
        command=row["command"],
        caller=row["caller"],
        began_at=datetime.fromisoformat(row["began_at"]),
        seen_at=datetime.fromisoformat(row["seen_at"]),
    )


def _occurrence_of(row: Row) -> dict[str, Any]:
    """What ledgers of the first version lack: `read_batch` does not migrate them."""
    if "number" not in row.keys():  # noqa: SIM118 - a row looks for values
        completed_at = None if row["state"] == BatchState.OPEN else instant(row["ended_at"])
        return {"completed_at": completed_at}
    return {
        "number": row["number"],
        "occurrence": instant(row["occurrence"]),
        "platform": row["platform"],
        "account": row["account"],
        "triggered_by": Trigger(row["triggered_by"]),
        "stop_kind": row["stop_kind"],
        "completed_at": instant(row["completed_at"]),
        # Ledgers of version 3 lack it.
        "owes_news": "owes_news" in row.keys() and bool(row["owes_news"]),  # noqa: SIM118 - as above
        # Ledgers of version 6 lack it.
        "answers": {**orjson.loads(row["answers"])} if "answers" in row.keys() else {},  # noqa: SIM118
    }


@reads_ledger
def waiting_of(row: Row) -> WaitingJob:
    """The waiting job of a `select_waiting` row."""
    return WaitingJob(
        seq=row["seq"],
        demand=demand_from(row["demand"]),
        priority=row["priority"],
        attempts=row["attempts"],
        ready_at=row["ready_at"],
        remedy=remedy_of(row["remedy"]),
        backoff_secs=row["backoff_secs"],
        home=row["home"],
    )


@reads_ledger
def failure_of(row: Row) -> Failure:
    """The failed job of a `select_failed` row."""
    return Failure(
        seq=row["seq"],
        key=JobKey(row["key"]),
        target=demand_from(row["demand"]).target,
        status=JobStatus(row["status"]),
        error=row["error"],
        attempts=row["attempts"],
        run_id=row["run_id"],
        exit_code=row["exit_code"],
        log_end=row["log_end"],
    )


@reads_ledger
def attempt_of(row: Row, batch_mark: str) -> Attempt:
    """The attempt of a `select_open_attempts` row."""
    remedy = remedy_of(row["remedy"])
    return Attempt(
        job=sent_job(job_of(row["definition"]), remedy),
        number=row["number"],
        send=row["send"],
        mark=mark_of(row, batch_mark),
        state=AttemptState(row["state"]),
        intent_at=datetime.fromisoformat(row["intent_at"]),
        platform_at=instant(row["platform_at"]),
        reserved_usd=None if row["reserved_usd"] is None else Decimal(row["reserved_usd"]),
        caps_itself=bool(row["caps_itself"]),
        remedy=remedy,
        run=_run_of(row),
        ended_at=instant(row["ended_at"]),
    )


def mark_of(row: Row, batch_mark: str) -> Mark:
    """The mark that a send carried; ledgers of earlier versions do not hold it."""
    if row["mark"] is not None:
        return Mark(row["mark"])
    return make_mark(batch_mark, row["job_seq"], row["number"], row["send"])


@reads_ledger
def run_object_of(row: Row) -> bytes | None:
    """A run as the platform sent it; None where it is not kept."""
    return None if row["run_object"] is None else zlib.decompress(row["run_object"])


def collected_values(collected: Collected | JobReport) -> dict[str, Any]:
    """The parameters of a statement that come from what was collected."""
    return {
        "items": collected.items,
        "size_bytes": collected.size_bytes,
        "sha256": collected.sha256,
        "records": collected.records,
        "missing": "\n".join(collected.missing) if collected.missing else "",
        "proof": None if collected.proof is None else str(collected.proof),
        "unproven": collected.unproven,
        "datasets": datasets_text(collected.datasets),
    }


def start_values(run: Run) -> dict[str, Any]:
    """The parameters of `mark_started` that come from a run."""
    return {
        "run_id": run.id,
        "dataset_id": run.dataset_id,
        "store_id": run.store_id,
        "run_status": run.status,
        "started_at": stored(run.started_at),
        "build_number": run.build_number,
        "memory_mbytes": run.memory_mbytes,
        "timeout_secs": run.timeout_secs,
    }


def end_values(run: Run) -> dict[str, Any]:
    """The parameters of `mark_finished` that come from a run."""
    return {
        "dataset_id": run.dataset_id,
        "store_id": run.store_id,
        "run_status": run.status,
        "status_message": run.status_message,
        "exit_code": run.exit_code,
        "started_at": stored(run.started_at),
        "finished_at": stored(run.finished_at),
        "cost_usd": None if run.cost_usd is None else str(run.cost_usd),
        "build_number": run.build_number,
        # A run that was found in a list: its options are known from a poll only.
        "memory_mbytes": run.memory_mbytes,
        "timeout_secs": run.timeout_secs,
    }


def run_values(run: Run) -> dict[str, Any]:
    """The parameters of a statement that come from a run."""
    return start_values(run) | end_values(run)


@reads_ledger
def report_of(row: Row) -> JobReport:
    """The report of a `select_reports` row."""
    state = None if row["state"] is None else AttemptState(row["state"])
    is_open = state is not None and state not in CLOSED_ATTEMPT_STATES
    status = JobStatus(row["status"])
    return JobReport(
        job=job_of(row["definition"]),
        # RUNNING is never stored, because after a crash nobody would correct it.
        status=JobStatus.RUNNING if is_open and status is JobStatus.WAITING else status,
        attempts=row["number"] or 0,
        state=state,
        run_id=row["run_id"],
        dataset_id=row["dataset_id"],
        store_id=row["store_id"],
        run_status=row["run_status"],
        items=row["items"],
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        records=row["records"],
        missing=tuple((row["missing"] or "").splitlines()),
        started_at=instant(row["started_at"]),
        finished_at=instant(row["finished_at"]),
        cost_usd=None if row["cost_usd"] is None else Decimal(row["cost_usd"]),
        build_number=row["build_number"],
        error=row["job_error"],
        reused_from=row["reused_from"],
        proof=proof_from(row["proof"]),
        unproven=row["unproven"],
        is_unread=_is_unread(row),
        remedy=remedy_of(row["remedy"]),
        datasets=datasets_from(row["datasets"]),
    )


def _is_unread(row: Row) -> bool:
    status = row["run_status"]
    if row["run_id"] is None or row["status"] != JobStatus.FAILED:
        return False
    # Cases: lost, unless its run is known to have failed; or settled without its results.
    if row["state"] == AttemptState.LOST:
        return status not in TERMINAL_RUN_STATUSES - {RunStatus.SUCCEEDED}
    # Earlier versions did not record the attempt's own outcome.
    is_unfetched = row["sha256"] is None if row["outcome"] is None else row["outcome"] == "FAILED"
    return row["state"] == AttemptState.SETTLED and status == RunStatus.SUCCEEDED and is_unfetched


def _run_of(row: Row) -> Run | None:
    started_at = instant(row["started_at"])
    if row["run_id"] is None or started_at is None:
        return None
    return Run(
        id=RunId(row["run_id"]),
        status=row["run_status"],
        status_message=row["status_message"],
        exit_code=row["exit_code"],
        started_at=started_at,
        finished_at=instant(row["finished_at"]),
        dataset_id=DatasetId(row["dataset_id"]),
        store_id=StoreId(row["store_id"]),
        memory_mbytes=row["memory_mbytes"],
        timeout_secs=row["timeout_secs"],
        cost_usd=None if row["cost_usd"] is None else Decimal(row["cost_usd"]),
        build_number=row["build_number"],
    )


@reads_ledger
def cost_of(row: Row, demand: Demand | None) -> RunCost:
    """The cost of a run, of a `select_run_costs` or `select_orphan_costs` row."""
    cost, reserved = row["cost_usd"], row["reserved_usd"]
    return RunCost(
        run_id=None if row["run_id"] is None else RunId(row["run_id"]),
        cost_usd=None if cost is None else Decimal(cost),
        cost_at=instant(row["cost_at"]),
        ended_at=instant(row["end_at"]),
        reserved_usd=None if reserved is None else Decimal(reserved),
        demand=demand,
    )
