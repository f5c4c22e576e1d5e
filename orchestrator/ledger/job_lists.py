"""Reads the jobs of a batch with all their attempts, as reports list them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson

from orchestrator.ledger.changed_ledger import reads_ledger
from orchestrator.ledger.definitions import demand_from
from orchestrator.ledger.records import ListedAttempt, ListedJob
from orchestrator.ledger.store import Store
from orchestrator.ledger.stored_values import datasets_from, instant
from orchestrator.model.ids import JobKey
from orchestrator.model.jobs import variables_in
from orchestrator.model.proofs import proof_from
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.safe_text import SECRETS

LAST = 2**63 - 1
# Looked up, because an Enum takes several times as long to find a member.
STATUSES = {status.value: status for status in JobStatus}
STATES = {state.value: state for state in AttemptState}
WAITING, RUNNING = JobStatus.WAITING, JobStatus.RUNNING


def listed_jobs(db: Store, first: int = 0, last: int = LAST) -> Iterator[ListedJob]:
    """
    Jobs in the order of the spec, as a stream.

    Args:
        first, last: their places in the spec; both ends included.
    """
    rows = db.query("select_listed", first=first, last=last)
    # By position: a row looks for a name in all of its columns, one after the other.
    for _, group in groupby(map(tuple, rows), key=itemgetter(0)):
        yield _job_of(list(group))


def listed_job(db: Store, key: str) -> ListedJob | None:
    """One job; None when no job has this key."""
    row = db.query("select_by_key", key=key).fetchone()
    return None if row is None else next(listed_jobs(db, row["seq"], row["seq"]))


@reads_ledger
def _job_of(rows: Sequence[tuple[Any, ...]]) -> ListedJob:
    """The job of its `select_listed` rows; without an attempt, it has one row."""
    seq, key, definition, demand, stored_status, error, number, *_ = rows[0]
    attempts = () if number is None else tuple(map(_attempt_of, rows))
    status = STATUSES[stored_status]
    if status is WAITING and attempts and attempts[-1].is_open:
        status = RUNNING
    # Not as a `Job`: reports need a few fields only, of up to a million jobs.
    job = orjson.loads(definition)
    given = job.get("input", {})
    if "late_paths" in given:
        SECRETS.add_variables(variables_in(given["body"].encode()))
    return ListedJob(
        seq=seq,
        key=JobKey(key),
        target=demand_from(demand).target,
        params=job.get("params", {}),
        tags=tuple(job.get("tags", ())),
        has_log=job.get("collect", {}).get("log", False),
        input_sha256=given.get("sha256") or None,
        status=status,
        error=error,
        attempts=attempts,
    )


def _attempt_of(row: tuple[Any, ...]) -> ListedAttempt:
    (
        seq, _, _, _, _, _, number, state, outcome, run_id, dataset_id, run_status, exit_code,
        started_at, finished_at, memory_mbytes, cost_usd, items, size_bytes, sha256, proof,
        unproven, datasets, build_number, adopted, resurrected_at, reused_from, straggles,
        error, remedy,
    ) = row  # fmt: skip
    return ListedAttempt(
        seq=seq,
        number=number,
        state=STATES[state],
        outcome=outcome,
        run_id=run_id,
        dataset_id=dataset_id,
        run_status=run_status,
        exit_code=exit_code,
        started_at=instant(started_at),
        finished_at=instant(finished_at),
        memory_mbytes=memory_mbytes,
        cost_usd=None if cost_usd is None else Decimal(cost_usd),
        items=items,
        size_bytes=size_bytes,
        sha256=sha256,
        proof=proof_from(proof),
        unproven=unproven,
        datasets=datasets_from(datasets),
        build_number=build_number,
        is_adopted=bool(adopted),
        resurrected_at=instant(resurrected_at),
        reused_from=reused_from,
        is_straggler=bool(straggles),
        error=error,
        input_changes=None if remedy is None else orjson.loads(remedy).get("input"),
    )
