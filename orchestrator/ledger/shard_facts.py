"""
What several processes that work on one batch tell each other, see `docs/shards.md`.

Only for ledgers in PostgreSQL. Each process has a lease that each of its transactions renews. The
processes whose leases have expired are fenced off before their attempts are stolen; from then on,
their own transactions fail. All times are those of the server.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.errors import BatchHeld
from orchestrator.ledger.attempt_facts import AttemptFacts
from orchestrator.ledger.claims import (
    UNKNOWN,
    Finding,
    Refused,
    Share,
    Wanted,
    claim_values,
    claimed_of,
)
from orchestrator.ledger.records import WaitingJob
from orchestrator.ledger.rows import attempt_of, batch_of, waiting_of
from orchestrator.ledger.store import Row
from orchestrator.ledger.stored_values import stored
from orchestrator.ledger.transactions import AfterCommit, answered_transaction, transaction
from orchestrator.model.attempts import Attempt, mark_stem
from orchestrator.model.batches import Batch, BatchState
from orchestrator.model.ids import JobKey, RunId
from orchestrator.model.item_sweeps import Expansion
from orchestrator.model.states import JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    A job that another process has changed.

    Attributes:
        waiting: what a process needs to start it; None when it is settled or another's.
    """

    seq: int
    key: JobKey
    status: JobStatus
    error: str | None
    waiting: WaitingJob | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What all processes use at a moment of the server's clock, in Unix seconds."""

    moment: float
    runs: int
    memory_mbytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """
    What other processes have done.

    Attributes:
        since: for the next call of `news`.
        halt_kind, halt_reason: why nothing more may be started; None while jobs are started.
        has_work: whether some job is not settled.
        runs: how many runs are in progress, of all processes.
        is_closed: whether the batch was closed.
        is_complete: whether its results and reports are made, too, and its end is announced.
        expansions: that were recorded, by any process.
        processes: how many start runs, this one included.
        others_are_hungry: whether a limit has kept another one from a start of late.
    """

    changes: Sequence[Change]
    since: int
    halt_kind: str | None
    halt_reason: str | None
    has_work: bool
    runs: int
    is_closed: bool
    is_complete: bool
    processes: int
    others_are_hungry: bool
    findings: Sequence[Finding]
    expansions: Sequence[Expansion] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """
    How a process has found a batch that it joins.

    Attributes:
        is_open: whether work may be left; otherwise the batch is closed.
        is_first: whether it begins the work, and no other process does it yet.
    """

    is_open: bool
    is_first: bool


ALONE = Joined(is_open=True, is_first=True)
"""How a process that works alone finds its batch."""


class ShardFacts(AttemptFacts):
    """Facts that processes share."""

    @transaction
    def join(self) -> Joined:
        """
        Begins to work on a batch beside other processes.

        A batch that was stopped by its own rules or on request stays halted: a process that was
        paused, or that an engine starts again, starts nothing of it. Only `take_over` ends that.

        Raises:
            BatchHeld: a process that works alone holds the batch.
        """
        # A process that was paused may have lost its own lock with its connection.
        if not self._execute("share_lock").fetchone()["is_ours"]:
            raise BatchHeld(
                f"{self.batch.name}/{self.batch.id}: another process has taken this batch over; "
                "wait until it ends"
            )
        self._execute("set_shard", owner=self._owner)
        is_first = False
        if batch_of(self._execute("select_batch").fetchone()).is_done:
            self._execute("keep_stopped")
        elif self._execute("join_batch", owner=self._owner).rowcount:
            is_first = True
            self._execute("forget_findings")
        is_open = bool(self._execute("select_openness").fetchone()["is_open"])
        return Joined(is_open=is_open, is_first=is_first)

    @transaction
    def steal(self) -> list[Attempt]:
        """Takes the attempts of processes whose leases have expired, and lists those."""
        self._fence_expired()
        places = self._execute("steal_attempts", owner=self._owner).fetchall()
        stolen = []
        for place in sorted(map(tuple, places)):
            row = self._execute("select_attempt", seq=place[0], number=place[1]).fetchone()
            self._execute("take_stolen", seq=place[0], owner=self._owner)
            stolen.append(attempt_of(row, self.batch.mark))
        return stolen

    @answered_transaction
    def intend(
        self,
        seq: int,
        number: int,
        now: datetime,
        share: Share,
        *,
        platform_at: datetime | None,
        caps_itself: bool,
    ) -> AfterCommit[Attempt | Refused]:
        """
        Takes a job and records its intent, if all processes together stay within the limits.

        Args:
            platform_at: what the platform's clock shows now; None when it is not known.
            caps_itself: whether no cap of our choice is sent.
        """
        reserved = share.reserve_usd or None
        wanted = Wanted(
            seq=seq,
            number=number,
            intent_at=now,
            platform_at=platform_at,
            reserved_usd=reserved,
            caps_itself=caps_itself,
        )
        stem = mark_stem(self.batch.mark, seq, number)
        answer = self._db.claim(claim_values(wanted, share, stem=stem, word=self.word))
        return AfterCommit(lambda: self._claimed(answer(), wanted, share))

    def _claimed(self, row: Row | None, wanted: Wanted, share: Share) -> Attempt | Refused:
        """What the answer to a claim means; without one, the ledger shows what has happened."""
        if row is not None:
            return claimed_of(row, wanted, share)
        found = self._execute("select_attempt", seq=wanted.seq, number=wanted.number).fetchone()
        if found is not None and found["owner"] == self._owner:
            return attempt_of(found, self.batch.mark)
        return Refused(limit=UNKNOWN, reason="the connection to the ledger broke")

    @answered_transaction
    def find(
        self, subject: str, change: Callable[[Mapping[str, Any] | None, Use], dict[str, Any]]
    ) -> AfterCommit[Finding]:
        """
        Changes what the processes have found out of a subject, one process after the other.

        Args:
            change: gives the new fields; may be called again, from another thread.
        """
        found: list[Finding] = []

        def perform() -> None:
            row = self._execute("select_finding", subject=subject).fetchone()
            stored = None if row["finding"] is None else json.loads(row["finding"])
            use = Use(moment=row["moment"], runs=row["runs"], memory_mbytes=row["memory_mbytes"])
            fields = change(stored, use)
            self._execute("put_finding", subject=subject, finding=json.dumps(fields))
            found[:] = [Finding(subject=subject, fields=fields, moment=use.moment)]

        self._db.in_turn(perform)
        return AfterCommit(lambda: found[0])

    @transaction
    def set_claim(self, seq: int, number: int, memory_mbytes: int, pools: tuple[str, ...]) -> None:
        """Records what an attempt of an earlier process uses of the limits."""
        self._set_claim(seq, number, memory_mbytes, pools)

    @transaction
    def news(self, since: int, made_from: int | None = None) -> News:
        """
        What other processes have changed.

        Args:
            since: of the last news; 0 for none of the changes.
            made_from: the first place of jobs whose expansions are listed; None for none of them.
        """
        # Before the jobs are read: a change in between is then listed twice, and not never.
        snapshot = self._execute("select_snapshot").fetchone()["since"]
        # Before the changes: a job that made items and is settled since then is among those.
        state = self._execute("select_halt").fetchone()
        changes = []
        for row in self._execute("select_changes", since=since, owner=self._owner) if since else ():
            status = JobStatus(row["status"])
            is_free = status is JobStatus.WAITING and row["taken_by"] is None
            changes.append(
                Change(
                    seq=row["seq"],
                    key=JobKey(row["key"]),
                    status=status,
                    error=row["error"],
                    waiting=waiting_of(row) if is_free else None,
                )
            )
        for row in self._execute("select_claimed", since=since, owner=self._owner) if since else ():
            key, taken = JobKey(row["key"]), JobStatus.WAITING
            changes.append(Change(seq=row["seq"], key=key, status=taken, error=None, waiting=None))
        # After the changes: then the expansions are known that have made the jobs among these.
        expansions = (
            []
            if made_from is None
            else self._execute("select_new_expansions", first_seq=made_from).fetchall()
        )
        others = self._execute("select_others", owner=self._owner).fetchone()
        return News(
            changes=changes,
            since=snapshot,
            halt_kind=state["halt_kind"],
            halt_reason=state["halt_reason"],
            has_work=bool(state["has_work"]),
            runs=int(state["runs"]),
            is_closed=state["state"] != BatchState.OPEN,
            is_complete=bool(state["is_complete"]),
            expansions=[Expansion(**row) for row in expansions],
            processes=others["processes"],
            others_are_hungry=bool(others["are_hungry"]),
            findings=[
                Finding(
                    subject=row["subject"],
                    fields=json.loads(row["finding"]),
                    moment=row["moment"],
                )
                for row in self._execute("select_new_findings", since=since)
            ],
        )

    @transaction
    def left_sources(self, seqs: Sequence[int]) -> list[int]:
        """Those of some settled jobs whose processes do not work on the batch any more."""
        rows = self._execute("select_left_sources", seqs=json.dumps(list(seqs)))
        return [row["seq"] for row in rows]

    @transaction
    def due_costs(self, platform_now: datetime) -> list[RunId]:
        """The ended runs of all processes whose costs are final by now, and not in the ledger."""
        rows = self._execute("select_due_costs", now=stored(platform_now))
        return [RunId(row["run_id"]) for row in rows]

    @transaction
    def halt(self, kind: str, reason: str) -> None:
        """Halts the batch for all processes; the first reason counts."""
        self._execute("set_halt", kind=kind, reason=reason)

    @transaction
    def seek_end(self) -> bool:
        """Whether this process closes the batch: all others are done, and none of them does."""
        self._fence_expired()
        self._execute("set_working", owner=self._owner, is_working=0)
        return self._execute("seek_end", owner=self._owner).rowcount == 1

    @transaction
    def mark_complete(self, now: datetime) -> Batch:
        """Records that all that follows the last run is done, and returns the batch."""
        self._execute("complete_batch", completed_at=stored(now))
        return batch_of(self._execute("select_batch").fetchone())

    @transaction
    def has_left_attempts(self) -> bool:
        """Whether processes that were fenced off have left attempts that nobody has taken."""
        return bool(self._execute("select_left_attempts").fetchone()["are_left"])

    @transaction
    def leave_batch(self) -> None:
        """Leaves the batch to the other processes, at once."""
        self._execute("leave_batch", owner=self._owner)

    def _fence_expired(self) -> None:
        if self._execute("fence_expired", owner=self._owner).rowcount:
            # In the same transaction, and only then: it reads all jobs that wait.
            self._execute("free_jobs")
        # One that is paused within a transaction holds its own row, until its session is ended.
        self._db.end_paused()

    def _set_claim(self, seq: int, number: int, memory_mbytes: int, pools: tuple[str, ...]) -> None:
        self._execute(
            "set_claim",
            seq=seq,
            number=number,
            memory_mbytes=memory_mbytes,
            pools=json.dumps(pools) if pools else None,
        )
