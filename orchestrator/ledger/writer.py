"""
The operations on a ledger that others may call; each one is one transaction.

A call hands its transaction in at once, in the order of the calls; awaiting it returns when it is
on disk. Transactions that pile up meanwhile share one commit. An operation that finds an attempt in
another state than the one it starts from raises `OrchestratorError`: a bug, and nothing is written.
"""

from __future__ import annotations

import secrets
import sqlite3
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial, wraps
from pathlib import Path
from string import ascii_lowercase
from typing import Any, Concatenate, ParamSpec, TypeVar

from orchestrator.errors import OrchestratorError
from orchestrator.group_worker import Work, Worker
from orchestrator.ledger import connection as sqlite
from orchestrator.ledger.rows import (
    JobReport,
    attempt_of,
    batch_of,
    batch_values,
    datasets_text,
    demand_from,
    job_of,
    job_values,
    mark_of,
    remedy_of,
    remedy_text,
    run_object_of,
    run_values,
    stored,
    waits_text,
)
from orchestrator.model.attempts import (
    Attempt,
    Collected,
    OtherDataset,
    Outcome,
    make_mark,
    place_of,
    send_of,
)
from orchestrator.model.batches import Batch, BatchState, Wait
from orchestrator.model.ids import BatchId, Mark, RunId
from orchestrator.model.jobs import Demand, Job
from orchestrator.model.proofs import Proof
from orchestrator.model.rules import NO_REMEDY, Remedy
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState, JobStatus

P = ParamSpec("P")
T = TypeVar("T")

NOTHING = Collected()
WORD_LENGTH = 4
"""So many random letters does each process put into its marks."""


def create_ledger(path: Path, batch: Batch, jobs: Iterable[Job]) -> int:
    """
    Writes a new ledger with all its jobs, in the caller's thread.

    Args:
        path: the file to make; its folder must exist.
        batch: as it begins.
        jobs: consumed as a stream.

    Returns:
        how many jobs there are.

    Raises:
        whatever `jobs` raises; the file is then useless and the caller's to remove.
    """
    db = sqlite.create(path)
    insert = sqlite.queries()["insert_job"]
    try:
        with sqlite.atomic(db):
            db.execute(sqlite.queries()["insert_batch"], batch_values(batch))
            db.executemany(insert, map(job_values, jobs))
        count: int = db.execute("SELECT COUNT(*) FROM jobs").fetchone()[0]
        return count
    finally:
        db.close()


@contextmanager
def open_ledger(path: Path) -> Iterator[sqlite.LedgerConnection]:
    """The connection for a `Ledger` and for its worker's `commit_group`."""
    db = sqlite.connect(path)
    try:
        yield db
    finally:
        db.close()


def commit_group(db: sqlite.LedgerConnection, group: Sequence[Work]) -> None:
    """
    Performs a group of transactions with one commit; if one fails, each on its own instead.

    The members fail with OutputLost, LedgerCorrupt or BatchHeld when the file or the batch is not
    this process's any more.
    """
    try:
        with _of_this_process(db):
            for work in group:
                work.result = work.perform()
                work.error = None
    except Exception:  # noqa: BLE001 - each of the group is tried again and keeps its own error
        for work in group:
            _commit_alone(db, work)
    else:
        _note_state(db, group)


@contextmanager
def _of_this_process(db: sqlite.LedgerConnection) -> Iterator[None]:
    """
    One transaction, on a file that is still the one that was opened and a batch that is still ours.
    """
    db.check_file()
    with sqlite.atomic(db):
        db.check_owner()
        yield


def _note_state(db: sqlite.LedgerConnection, group: Sequence[Work]) -> None:
    """
    Remembers the file after a commit; where it is another one by now, what was written is lost.
    """
    try:
        db.note_state()
    except OrchestratorError as error:
        # Not performed again: it may have been committed all the same.
        for work in group:
            work.error = error


def _commit_alone(db: sqlite.LedgerConnection, work: Work) -> None:
    try:
        with _of_this_process(db):
            work.result = work.perform()
            work.error = None
    except Exception as error:  # noqa: BLE001 - carried over to the task that waits
        work.error = error
    else:
        _note_state(db, [work])


def transaction(
    method: Callable[Concatenate[Ledger, P], T],
) -> Callable[Concatenate[Ledger, P], Awaitable[T]]:
    """Makes a method of `Ledger` a transaction that is handed in when called."""

    @wraps(method)
    def submit(self: Ledger, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return self._worker.submit(partial(method, self, *args, **kwargs))

    return submit


class Ledger:
    """
    The ledger of one batch, for the one process that holds it.

    Args:
        db: from `open_ledger`; used in the worker's thread only.
        worker: performs groups by `commit_group`.

    Attributes:
        word: random letters of this process, in each of its marks.
    """

    def __init__(self, db: sqlite.LedgerConnection, worker: Worker) -> None:
        self._db = db
        self._worker = worker
        self._owner = secrets.token_hex(8)
        db.owners |= {self._owner}
        self.word = "".join(secrets.choice(ascii_lowercase) for _ in range(WORD_LENGTH))
        self._queries = sqlite.queries()
        self.batch = batch_of(self._execute("select_batch").fetchone())

    @transaction
    def take_over(self) -> list[Attempt]:
        """
        Makes this process the owner of the batch and of all attempts under way, and lists those.

        From then on, whoever owned it before fails with BatchHeld.
        """
        self._execute("own_batch", owner=self._owner)
        self._execute("open_batch")
        self._execute("take_over", owner=self._owner)
        rows = self._execute("select_open_attempts").fetchall()
        return [attempt_of(row, self.batch.mark) for row in rows]

    @transaction
    def look(self) -> None:
        """Looks whether the file and the batch are still this process's, which any call does."""

    @transaction
    def intend(
        self,
        seq: int,
        number: int,
        now: datetime,
        *,
        platform_at: datetime | None = None,
        reserved_usd: Decimal | None = None,
        caps_itself: bool = True,
    ) -> Attempt:
        """
        Records that a run is about to be asked for, and returns the attempt with its job.

        Args:
            platform_at: what the platform's clock shows now; None when it is not known.
            reserved_usd: what the budget holds for the run; None without a budget.
            caps_itself: whether no cap of our choice is sent.
        """
        row = self._execute("select_definition", seq=seq).fetchone()
        remedy = remedy_of(row["remedy"])
        send: int = self._execute("next_send", seq=seq, number=number).fetchone()["send"]
        mark = make_mark(self.batch.mark, seq, number, send, self.word)
        self._execute(
            "insert_attempt",
            seq=seq,
            number=number,
            owner=self._owner,
            intent_at=stored(now),
            platform_at=stored(platform_at),
            reserved_usd=None if reserved_usd is None else str(reserved_usd),
            remedy=row["remedy"],
            resurrects=remedy.resurrects,
            send=send,
            mark=mark,
            caps_itself=int(caps_itself),
        )
        return Attempt(
            job=job_of(row["definition"]),
            number=number,
            send=send,
            mark=mark,
            state=AttemptState.INTENT,
            intent_at=now,
            platform_at=platform_at,
            reserved_usd=reserved_usd,
            caps_itself=caps_itself,
            remedy=remedy,
        )

    @transaction
    def withdraw(self, attempt: Attempt) -> None:
        """Takes an intent back whose start was refused for now; no attempt is used up."""
        self._change("delete_intent", attempt)

    @transaction
    def send_again(
        self, attempt: Attempt, now: datetime, *, platform_at: datetime | None = None
    ) -> Attempt:
        """
        Records the intent of one more send of the same attempt, and returns the attempt with it.

        Args:
            platform_at: what the platform's clock shows now; None when it is not known.
        """
        send = attempt.send + 1
        mark = make_mark(self.batch.mark, attempt.job.seq, attempt.number, send, self.word)
        self._change(
            "send_again",
            attempt,
            send=send,
            mark=mark,
            intent_at=stored(now),
            platform_at=stored(platform_at),
            owner=self._owner,
        )
        return replace(
            attempt,
            send=send,
            mark=mark,
            state=AttemptState.INTENT,
            intent_at=now,
            platform_at=platform_at,
        )

    @transaction
    def unconfirmed(self, attempt: Attempt, error: str) -> None:
        """Records that the answer to a start was lost."""
        self._change("mark_unconfirmed", attempt, error=error)

    @transaction
    def started(self, attempt: Attempt, run: Run, *, adopted: bool = False) -> None:
        """Records the run of an attempt, known from the answer or found by its mark."""
        state = AttemptState.ADOPTED if adopted else AttemptState.STARTED
        self._change(
            "mark_started",
            attempt,
            state=state,
            adopted=int(adopted),
            **run_values(run),
        )

    @transaction
    def seen(self, attempt: Attempt, status: str, *, straggles: bool) -> None:
        """Records the status of a run that goes on, and whether it takes far too long."""
        self._change("mark_seen", attempt, run_status=status, straggles=int(straggles))

    @transaction
    def finished(
        self,
        attempt: Attempt,
        run: Run,
        *,
        straggles: bool = False,
        ended_at: datetime | None = None,
        run_object: bytes | None = None,
    ) -> None:
        """
        Records how a run ended, and what it has cost so far.

        Args:
            straggles: whether it took far longer than others of its kind.
            ended_at: what the platform's clock shows now; None when it is not known.
            run_object: the run as the platform sent it.
        """
        values = run_values(run)
        for name in ("run_id", "dataset_id", "store_id", "memory_mbytes", "timeout_secs"):
            del values[name]
        self._change(
            "mark_finished",
            attempt,
            straggles=int(straggles),
            ended_at=stored(ended_at),
            run_object=None if run_object is None else zlib.compress(run_object, 1),
            **values,
        )

    @transaction
    def ended_attempt(self, seq: int, number: int) -> tuple[Attempt, bytes | None]:
        """An attempt whose run has ended, and that run as the platform sent it."""
        row = self._execute("select_attempt", seq=seq, number=number).fetchone()
        return attempt_of(row, self.batch.mark), run_object_of(row)

    @transaction
    def over(
        self,
        attempt: Attempt,
        outcome: Outcome,
        collected: Collected | None = None,
        *,
        state: AttemptState = AttemptState.SETTLED,
        ready_at: float | None = None,
        remedy: Remedy = NO_REMEDY,
    ) -> None:
        """
        Ends an attempt, and its job too unless a further attempt follows.

        Args:
            attempt: any that is not over.
            outcome: how it ended.
            collected: what is on disk of it by now; None when nothing is.
            state: SETTLED, FAILED (no run came of it) or LOST.
            ready_at: when a further attempt may start, in Unix seconds; None settles the job.
            remedy: what that attempt is to do otherwise.
        """
        found = collected or NOTHING
        self._change(
            "mark_over",
            attempt,
            state=state,
            error=outcome.error,
            outcome=outcome.status,
            items=found.items,
            size_bytes=found.size_bytes,
            sha256=found.sha256,
            records=found.records,
            missing="\n".join(found.missing),
            keeps_run_object=not attempt.job.collect.run,
            datasets=datasets_text(found.datasets),
            **_proof_values(found.proof, found.unproven),
        )
        self._execute(
            "settle_job",
            seq=attempt.job.seq,
            status=outcome.status if ready_at is None else JobStatus.WAITING,
            ready_at=ready_at or 0,
            remedy=remedy_text(remedy),
            error=outcome.error,
        )

    @transaction
    def reuse(self, seq: int, report: JobReport, batch: BatchId, now: datetime) -> bool:
        """
        Settles a job with what an earlier batch has collected, whose files are in place.

        Returns:
            False when this ledger has that run already: then nothing is written.
        """
        try:
            self._execute(
                "insert_reused",
                seq=seq,
                owner=self._owner,
                intent_at=stored(now),
                run_id=report.run_id,
                dataset_id=report.dataset_id,
                store_id=report.store_id,
                run_status=report.run_status,
                started_at=stored(report.started_at),
                finished_at=stored(report.finished_at),
                build_number=report.build_number,
                items=report.items,
                size_bytes=report.size_bytes,
                sha256=report.sha256,
                records=report.records,
                missing="\n".join(report.missing),
                reused_from=batch,
                datasets=datasets_text(report.datasets),
                **_proof_values(report.proof, report.unproven),
            )
        except sqlite3.IntegrityError:
            return False
        self._execute(
            "settle_job", seq=seq, status=report.status, ready_at=0, remedy=None, error=None
        )
        return True

    @transaction
    def skip(self, seq: int, reason: str) -> None:
        """Settles a job that waits, without an attempt."""
        self._execute("skip_waiting", seq=seq, error=reason)

    @transaction
    def refuse(self, seqs: Sequence[int], reason: str) -> list[str]:
        """Settles jobs that wait as failed, without an attempt; returns their keys."""
        rows = (self._execute("refuse_waiting", seq=seq, error=reason).fetchone() for seq in seqs)
        return [row["key"] for row in rows if row is not None]

    @transaction
    def collected_again(
        self, seq: int, number: int, outcome: Outcome, collected: Collected
    ) -> None:
        """Records what was fetched later of a settled attempt, and judges its job by it."""
        values = {
            "items": collected.items,
            "size_bytes": collected.size_bytes,
            "records": collected.records,
            "missing": "\n".join(collected.missing),
            "datasets": datasets_text(collected.datasets),
            **_proof_values(collected.proof, collected.unproven),
        }
        self._execute(
            "collect_again",
            seq=seq,
            number=number,
            sha256=collected.sha256,
            error=outcome.error,
            outcome=outcome.status,
            **values,
        )
        self._execute("judge_job", seq=seq, status=outcome.status, error=outcome.error)

    @transaction
    def found_again(self, seq: int, number: int, run: Run) -> bool:
        """
        Records what is known again of the run of a lost attempt.

        One that has ended may be collected; one that is still going is an attempt under way again,
        for the next process that drives the batch.

        Returns:
            whether the run has ended.
        """
        values = run_values(run)
        place = {"seq": seq, "number": number, "run_status": run.status}
        if run.is_terminal:
            names = ("status_message", "exit_code", "finished_at")
            self._execute("find_again", **place, **{name: values[name] for name in names})
        elif self._execute("reopen_attempt", **place).rowcount:
            self._execute("reopen_job", seq=seq)
        return run.is_terminal

    @transaction
    def set_datasets(self, seq: int, number: int, datasets: tuple[OtherDataset, ...]) -> None:
        """Records anew what an attempt has besides its default dataset."""
        self._execute("set_datasets", seq=seq, number=number, datasets=datasets_text(datasets))

    @transaction
    def costs(
        self, costs: Mapping[RunId, Decimal | None], asked_at: datetime, *, are_all: bool = False
    ) -> None:
        """
        Records what runs have cost, as the platform reports it.

        Args:
            costs: None where the platform does not report it.
            asked_at: the platform's time at the question.
            are_all: whether all runs of the batch were asked for: then those that ended more than
                a day ago, and are not there any more, keep the cost that they have.
        """
        cost_at = stored(asked_at)
        for run_id, cost in costs.items():
            usd = None if cost is None else str(cost)
            for query in ("set_cost", "set_orphan_cost"):
                self._execute(query, run_id=run_id, cost_usd=usd, cost_at=cost_at)
        if are_all:
            self._execute("set_all_costs_at", cost_at=cost_at)

    @transaction
    def costs_settle_after(self, secs: float) -> None:
        """Records how long after the end of a run its cost is final."""
        self._execute("set_costs_settle_secs", secs=secs)

    @transaction
    def keeps_days(self, days: int) -> None:
        """Records how long the platform keeps what runs have made."""
        self._execute("set_keeps_days", keeps_days=days)

    @transaction
    def judge_again(self) -> Batch:
        """Brings the exit code of a batch that has ended in line with its jobs, and returns it."""
        self._execute("judge_batch")
        return batch_of(self._execute("select_batch").fetchone())

    @transaction
    def waits(self, waits: Sequence[Wait]) -> None:
        """Records why jobs wait, for those who look at the batch meanwhile."""
        self._execute("set_waits", waits=waits_text(waits))

    @transaction
    def add_requests(self, requests: int, retries: int) -> None:
        """Adds to the counts of requests sent."""
        self._execute("add_requests", requests=requests, retries=retries)

    @transaction
    def close(
        self,
        state: BatchState,
        *,
        exit_code: int,
        reason: OrchestratorError | None,
        now: datetime,
    ) -> Batch:
        """Records how this process leaves the batch, and returns it as it then stands."""
        self._execute(
            "close_batch",
            state=state,
            exit_code=exit_code,
            stop_reason=None if reason is None else str(reason),
            stop_kind=None if reason is None else type(reason).__name__,
            ended_at=stored(now),
        )
        return batch_of(self._execute("select_batch").fetchone())

    @transaction
    def live_runs(self) -> list[RunId]:
        """The runs that were going when last heard of."""
        return [RunId(row["run_id"]) for row in self._execute("select_live_runs")]

    @transaction
    def give_up(self, attempt: Attempt) -> None:
        """Records that a send has no run, as far as can be known; its mark is never used again."""
        self._execute(
            "give_up",
            seq=attempt.job.seq,
            number=attempt.number,
            send=attempt.send,
            since=stored(attempt.listed_from),
            mark=attempt.mark,
        )

    @transaction
    def orphan(self, mark: Mark, run: Run, now: datetime) -> Decimal | None:
        """
        Records a run that belongs to no attempt, or what is new of it.

        Args:
            now: the platform's time.

        Returns:
            what attempts of the same job reserve; None when they reserve nothing.
        """
        self._execute(
            "put_orphan",
            run_id=run.id,
            mark=mark,
            seq=place_of(mark)[0],
            seen_at=stored(now),
            run_status=run.status,
            cost_usd=None if run.cost_usd is None else str(run.cost_usd),
        )
        row = self._execute("select_orphan_reserve", run_id=run.id).fetchone()
        return None if row["reserved_usd"] is None else Decimal(row["reserved_usd"])

    @transaction
    def sent(self, marks: Iterable[Mark]) -> set[Mark]:
        """Those marks that an intent of this ledger has, or had before its send was given up."""
        known = {mark_of(row, self.batch.mark) for row in self._execute("select_sent")}
        return known.intersection(marks)

    @transaction
    def demand_of_spare(self, seq: int, number: int) -> Demand | None:
        """
        What a run demands that another process started for an attempt.

        Returns:
            None when the attempt cannot take it: it has one, or is over, or its job is done.
        """
        place = self._execute("select_attempt_place", seq=seq, number=number).fetchone()
        if place is None:
            return None
        if place["state"] is None:
            is_over = place["status"] in {"SUCCEEDED", "SKIPPED"} or number <= place["attempts"]
        else:
            is_over = place["state"] not in {"intent", "unconfirmed"}
        return None if is_over else demand_from(place["demand"])

    @transaction
    def adopt(self, mark: Mark, run: Run) -> bool:
        """
        Writes the attempt that a mark names, with its run, where it is the next one of its job.

        Returns:
            False when it is not: then nothing is written.
        """
        seq, number = place_of(mark)
        place = self._execute("select_attempt_place", seq=seq, number=number).fetchone()
        if place is None or place["is_open"] or number != place["attempts"] + 1:
            return False
        if place["status"] in {"SUCCEEDED", "SKIPPED"}:
            return False
        if place["status"] != "WAITING":
            self._execute("set_waiting", seq=seq)
        self._execute(
            "insert_adopted",
            seq=seq,
            number=number,
            send=send_of(mark),
            mark=mark,
            owner=self._owner,
            **run_values(run),
        )
        return True

    def _change(self, query: str, attempt: Attempt, **values: Any) -> None:
        cursor = self._execute(query, seq=attempt.job.seq, number=attempt.number, **values)
        if cursor.rowcount != 1:
            raise OrchestratorError(
                f"{attempt.job.key}, attempt {attempt.number}: {query} does not fit the state "
                "that the ledger holds"
            )

    def _execute(self, query: str, **values: Any) -> sqlite3.Cursor:
        return self._db.execute(self._queries[query], values)


def _proof_values(proof: Proof | None, unproven: str | None) -> dict[str, str | None]:
    return {"proof": None if proof is None else str(proof), "unproven": unproven}
