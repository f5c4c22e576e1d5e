"""
What happens to an attempt, from the intent to start a run until it is over.

The states and their transitions are listed beside the table, in `schema/sqlite/0001_first.sql`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from orchestrator.ledger.definitions import job_of
from orchestrator.ledger.rows import (
    attempt_of,
    collected_values,
    end_values,
    run_object_of,
    start_values,
)
from orchestrator.ledger.stored_values import packed, remedy_of, remedy_text, stored
from orchestrator.ledger.transactions import (
    AfterCommit,
    Transactions,
    answered_transaction,
    transaction,
)
from orchestrator.model.attempts import Attempt, Collected, Outcome, make_mark, mark_stem, sent_job
from orchestrator.model.ids import Mark
from orchestrator.model.rules import NO_REMEDY, Remedy
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState, JobStatus

NOTHING = Collected()


class AttemptFacts(Transactions):
    """Intents and facts of attempts."""

    @transaction
    def take_over(self) -> list[Attempt]:
        """
        Makes this process the owner of the batch and of all open attempts, and lists those.

        From then on, the process that owned it before fails with BatchHeld.
        """
        self._execute("own_batch", owner=self._owner)
        self._execute("open_batch")
        self._execute("take_over", owner=self._owner)
        # In the same transaction: the former owner cannot add an attempt in between.
        rows = self._execute("select_open_attempts").fetchall()
        return [attempt_of(row, self.batch.mark) for row in rows]

    @answered_transaction
    def record_intent(
        self,
        seq: int,
        number: int,
        now: datetime,
        *,
        platform_at: datetime | None = None,
        reserved_usd: Decimal | None = None,
        caps_itself: bool = True,
    ) -> AfterCommit[Attempt]:
        """
        Records that a run is about to be asked for, and returns the attempt with its job.

        Args:
            platform_at: what the platform's clock shows now; None when it is not known.
            reserved_usd: what the budget holds for the run; None without a budget.
            caps_itself: whether no cap of our choice is sent.
        """
        # The mark is durable before the request: after a crash, its run can be found.
        answer = self._ask(
            "insert_intent",
            seq=seq,
            number=number,
            owner=self._owner,
            intent_at=stored(now),
            platform_at=stored(platform_at),
            reserved_usd=None if reserved_usd is None else str(reserved_usd),
            stem=mark_stem(self.batch.mark, seq, number),
            word=self.word,
            caps_itself=int(caps_itself),
        )

        def intended() -> Attempt:
            row = answer()
            remedy = remedy_of(row["remedy"])
            return Attempt(
                job=sent_job(job_of(row["definition"]), remedy),
                number=number,
                send=row["send"],
                mark=Mark(row["mark"]),
                state=AttemptState.INTENT,
                intent_at=now,
                platform_at=platform_at,
                reserved_usd=reserved_usd,
                caps_itself=caps_itself,
                remedy=remedy,
            )

        return AfterCommit(intended)

    @transaction
    def withdraw_intent(self, attempt: Attempt) -> None:
        """Deletes an intent whose start was refused for now; no attempt is used up."""
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
    def mark_unconfirmed(self, attempt: Attempt, error: str) -> None:
        """Records that the answer to a start was lost."""
        self._change("mark_unconfirmed", attempt, error=error)

    @transaction
    def mark_started(self, attempt: Attempt, run: Run, *, adopted: bool = False) -> None:
        """Records the run of an attempt, known from the answer or found by its mark."""
        state = AttemptState.ADOPTED if adopted else AttemptState.STARTED
        self._change(
            "mark_started",
            attempt,
            state=state,
            adopted=int(adopted),
            **start_values(run),
        )

    @transaction
    def mark_seen(self, attempt: Attempt, status: str, *, straggles: bool) -> None:
        """Records the status of a live run, and whether it takes far too long."""
        self._change("mark_seen", attempt, run_status=status, straggles=int(straggles))

    @transaction
    def mark_finished(
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
            run_object: the run as the platform sent it; None where `run.json` gets it.
        """
        self._change(
            "mark_finished",
            attempt,
            straggles=int(straggles),
            ended_at=stored(ended_at),
            run_object=None if run_object is None else packed(run_object),
            **end_values(run),
        )

    @answered_transaction
    def ended_attempt(self, seq: int, number: int) -> AfterCommit[tuple[Attempt, bytes | None]]:
        """An attempt whose run has ended, and that run as the platform sent it if it is kept."""
        answer = self._ask("select_attempt", seq=seq, number=number)

        def ended() -> tuple[Attempt, bytes | None]:
            row = answer()
            return attempt_of(row, self.batch.mark), run_object_of(row)

        return AfterCommit(ended)

    @transaction
    def mark_over(
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
            collected: what is on disk of it; None when nothing is.
            state: SETTLED, FAILED (there is no run) or LOST.
            ready_at: when a further attempt may start, in Unix seconds; None settles the job.
            remedy: what that attempt does differently.
        """
        self._change(
            "mark_over",
            attempt,
            state=state,
            error=outcome.error,
            outcome=outcome.status,
            **collected_values(collected or NOTHING),
        )
        self._write(
            "settle_job",
            seq=attempt.job.seq,
            status=outcome.status if ready_at is None else JobStatus.WAITING,
            ready_at=ready_at or 0,
            remedy=remedy_text(remedy),
            error=outcome.error,
        )
