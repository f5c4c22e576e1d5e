"""
Changes to a ledger that no process drives: jobs to retry, a changed spec.

Each function is one transaction in the caller's thread, on the ledger at a path; if the server
undoes it, it is repeated. The caller holds the batch's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from orchestrator.errors import BatchNotFound, OrchestratorError
from orchestrator.ledger import stores
from orchestrator.ledger.definitions import job_of, job_values
from orchestrator.ledger.rows import batch_of, run_values
from orchestrator.ledger.store import BatchMade, LeaseLost, Row, Store, Undone
from orchestrator.ledger.stored_values import plan_text, stored
from orchestrator.model.batches import Batch, BatchPlan, BatchState
from orchestrator.model.ids import JobKey
from orchestrator.model.jobs import Job
from orchestrator.model.runs import Run
from orchestrator.model.states import JobStatus

P = ParamSpec("P")
T = TypeVar("T")

REMOVED = "removed from the spec"
"""Why a job is skipped that a changed spec no longer has."""


def amendment(change: Callable[Concatenate[Store, P], T]) -> Callable[Concatenate[Path, P], T]:
    """Makes a function one transaction on the ledger at a path, see the top of this module."""

    @wraps(change)
    def amend(path: Path, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with closing(stores.connect(path)) as db:
            while True:
                try:
                    with db.atomic():
                        return change(db, *args, **kwargs)
                except Undone:
                    # It has waited for a process that is paused, whose session has ended now.
                    continue

    return amend


@amendment
def set_waiting(db: Store, seqs: Sequence[int]) -> None:
    """Lets settled jobs wait for one more attempt; their earlier attempts stay in the ledger."""
    for seq in seqs:
        db.query("set_waiting", seq=seq)
    _open_again(db)


@amendment
def add_runs(db: Store, runs: Sequence[Run], now: datetime) -> None:
    """Gives each job, in the order of the spec, a run that another program started."""
    for seq, run in enumerate(runs):
        values = run_values(run)
        db.query("insert_run", seq=seq, intent_at=stored(now), **values)


@amendment
def set_number(db: Store, choose: Callable[[], int], serves: str | None = None) -> None:
    """
    Gives a batch its number among the batches of its name, or a higher one.

    Args:
        choose: gives the number, or raises what is against the batch. Meanwhile no other batch of
            the name gets one, on any machine that has the same server.
        serves: the series and the occurrence, of which only one batch may be; None for any number.

    Raises:
        BatchMade: there is such a batch, made on another machine.
        BatchNotFound: this process was paused for days, and its batch was removed as abandoned.
    """
    last = db.query("select_last_number").fetchone()["number"]
    if last is None:
        raise BatchNotFound(
            "the ledger of this batch was removed, because it was not published within a day: "
            "start the batch again"
        )
    number = choose()
    if serves is not None and db.query("set_serves", serves=serves).rowcount != 1:
        raise BatchMade("another process has made the batch of this occurrence")
    db.query("set_number", batch_number=max(number, last + 1))


@amendment
def set_account(db: Store, platform: str, account: str | None) -> Batch:
    """Records where a batch runs and for whom, and returns the batch with it."""
    batch = batch_of(db.query("select_batch").fetchone())
    batch = replace(batch, platform=platform, account=account)
    db.query("set_account", platform=platform, account=account, series=batch.series.id)
    return batch


@amendment
def add_later_resume(db: Store, occurrence: datetime, now: datetime) -> None:
    """Records that a call for a later occurrence is about to resume a batch."""
    db.query("insert_later_resume", occurrence=stored(occurrence), began_at=stored(now))


@amendment
def close_unstarted(db: Store, reason: OrchestratorError, now: datetime) -> Batch:
    """Closes a batch of which nothing could be started, and returns it."""
    db.query(
        "close_batch",
        state=BatchState.STOPPED,
        exit_code=reason.exit_code,
        stop_reason=str(reason),
        stop_kind=type(reason).__name__,
        ended_at=stored(now),
        # It was not done: the next call resumes it, and then announces its end.
        owes_news=False,
    )
    db.query("see_call", seen_at=stored(now))
    return batch_of(db.query("select_batch").fetchone())


@amendment
def halt_shards(db: Store, reason: OrchestratorError) -> bool:
    """Halts a batch in PostgreSQL that processes share; False when none works on it."""
    return db.query("halt_shards", kind=type(reason).__name__, reason=str(reason)).rowcount == 1


@amendment
def complete(db: Store, now: datetime) -> Batch:
    """Records that all that follows the last run of a batch is done, and returns the batch."""
    db.query("complete_batch", completed_at=stored(now))
    return batch_of(db.query("select_batch").fetchone())


@amendment
def set_announced(
    db: Store, end: str, news: str, closer: str | None = None
) -> tuple[str | None, str | None]:
    """
    Records that an end is about to be announced; returns the end and the news of last time.

    Args:
        closer: the process that has closed a shared batch; None for a batch of one process.

    Raises:
        LeaseLost: another process has closed the batch in its place, and announces that.
    """
    if closer is not None and db.query("hold_closing", owner=closer).rowcount != 1:
        batch = batch_of(db.query("select_batch").fetchone())
        raise LeaseLost(f"{batch.name}/{batch.id}: another process has closed this batch")
    before = db.query("select_announced").fetchone()
    db.query("set_announced", end=end, news=news)
    return before["announced_end"], before["announced_news"]


@amendment
def apply_changes(
    db: Store,
    plan: BatchPlan,
    *,
    added: Sequence[Job],
    changed: Sequence[Job],
    removed: Sequence[str],
) -> Sequence[JobKey]:
    """
    Brings a batch in line with its changed spec, and lets what follows its last run be done again.

    New jobs follow the others; those that an earlier change had removed wait again. Changed jobs
    get their new definition if they wait, or have ended without a run; others stay as they are.
    Removed jobs that have never begun leave the batch, and others that still wait are skipped.

    Returns:
        the changed jobs that keep their definition and have not succeeded.
    """
    kept = []
    before = batch_of(db.query("select_batch").fetchone()).plan
    db.query("update_plan", plan=plan_text(plan))
    # At the end: the marks of runs name jobs by their places, so no place may change.
    last = db.query("select_last_seq").fetchone()["seq"]
    for job in added:
        row = db.query("select_by_key", key=job.key).fetchone()
        if row is None:
            last += 1
            db.query("insert_job", **job_values(replace(job, seq=last)))
        else:
            db.query("set_waiting", seq=row["seq"])
            db.query("update_job", **job_values(replace(job, seq=row["seq"])))
    for job in changed:
        row = db.query("select_by_key", key=job.key).fetchone()
        values = job_values(replace(job, seq=row["seq"]))
        is_kept = db.query("update_job", **values).rowcount == 0
        if is_kept and row["status"] != JobStatus.SUCCEEDED:
            kept.append(job.key)
    for key in removed:
        if not db.query("delete_job", key=key).rowcount:
            db.query("skip_job", key=key, error=REMOVED)
    _open_again(db, has_work=plan.sweeps != before.sweeps)
    return kept


def _open_again(db: Store, *, has_work: bool = False) -> None:
    """Opens a batch that has work again: it has not ended, also if this process dies next."""
    if has_work or db.query("has_unsettled").fetchone()["has_some"]:
        db.query("open_batch")


def definitions(path: Path) -> dict[str, Job | None]:
    """The jobs of a ledger by key, without places; None if a change of the spec removed one."""
    # Only read: `plan --diff` asks for them beside a live batch, and in a folder to read.
    with closing(stores.connect_read_only(path)) as db:
        return {row["key"]: _definition(row) for row in db.query("select_definitions")}


def _definition(row: Row) -> Job | None:
    if row["status"] == JobStatus.SKIPPED and row["error"] == REMOVED:
        return None
    # Without its place, a job that only moved within the spec is not a changed one.
    return replace(job_of(row["definition"]), seq=0)
