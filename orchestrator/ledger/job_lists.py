"""Reads the jobs of a batch with all their attempts, as pages list them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

import orjson

from orchestrator.ledger.connection import LedgerConnection
from orchestrator.ledger.records import ListedAttempt, ListedJob
from orchestrator.ledger.rows import demand_from, instant
from orchestrator.model.ids import JobKey
from orchestrator.model.states import AttemptState, JobStatus


def listed_jobs(db: LedgerConnection) -> Iterator[ListedJob]:
    """The jobs in the order of the spec, as a stream."""
    groups = groupby(db.query("select_listed_attempts"), key=itemgetter("job_seq"))
    following = next(groups, None)
    # Both are in the order of the jobs, so that one walk joins them.
    for row in db.query("select_listed_jobs"):
        attempts: tuple[ListedAttempt, ...] = ()
        if following is not None and following[0] == row["seq"]:
            attempts = tuple(map(_attempt_of, following[1]))
            following = next(groups, None)
        yield _job_of(row, attempts)


def listed_job(db: LedgerConnection, key: str) -> ListedJob | None:
    """One job; None when no job has this key."""
    row = db.query("select_listed_job", key=key).fetchone()
    if row is None:
        return None
    return _job_of(row, tuple(map(_attempt_of, db.query("select_attempts_of", seq=row["seq"]))))


def _job_of(row: sqlite3.Row, attempts: tuple[ListedAttempt, ...]) -> ListedJob:
    status = JobStatus(row["status"])
    if status is JobStatus.WAITING and attempts and attempts[-1].is_open:
        status = JobStatus.RUNNING
    return ListedJob(
        seq=row["seq"],
        key=JobKey(row["key"]),
        target=demand_from(row["demand"]).target,
        params=orjson.loads(row["params"] or "{}"),
        tags=tuple(orjson.loads(row["tags"])) if row["tags"] else (),
        has_log=bool(row["has_log"]),
        status=status,
        error=row["error"],
        attempts=attempts,
    )


def _attempt_of(row: sqlite3.Row) -> ListedAttempt:
    return ListedAttempt(
        seq=row["job_seq"],
        number=row["number"],
        state=AttemptState(row["state"]),
        outcome=row["outcome"],
        run_id=row["run_id"],
        run_status=row["run_status"],
        exit_code=row["exit_code"],
        started_at=instant(row["started_at"]),
        finished_at=instant(row["finished_at"]),
        memory_mbytes=row["memory_mbytes"],
        cost_usd=None if row["cost_usd"] is None else Decimal(row["cost_usd"]),
        items=row["items"],
        size_bytes=row["size_bytes"],
        build_number=row["build_number"],
        is_adopted=bool(row["adopted"]),
        resurrects=row["resurrects"],
        reused_from=row["reused_from"],
        is_straggler=bool(row["straggles"]),
        error=row["error"],
    )
