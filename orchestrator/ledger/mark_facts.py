"""To which attempt a marked run belongs: given-up sends, orphan runs, adopted runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from orchestrator.ledger.definitions import demand_from
from orchestrator.ledger.rows import mark_of, run_values
from orchestrator.ledger.stored_values import stored
from orchestrator.ledger.transactions import Transactions, transaction
from orchestrator.model.attempts import Attempt, place_of, send_of
from orchestrator.model.ids import Mark
from orchestrator.model.jobs import Demand
from orchestrator.model.runs import Run


class MarkFacts(Transactions):
    """Facts of sends and of the runs that carry their marks."""

    @transaction
    def give_up(self, attempt: Attempt) -> None:
        """Records that a send has no run as far as can be seen; its mark is never used again."""
        self._execute(
            "give_up",
            seq=attempt.job.seq,
            number=attempt.number,
            send=attempt.send,
            since=stored(attempt.listed_from),
            mark=attempt.mark,
        )

    @transaction
    def sent(self, marks: Iterable[Mark]) -> set[Mark]:
        """Those marks that an intent of this ledger carries, or carried before it was given up."""
        # Compared here and not by SQL, because the marks of earlier versions are not stored.
        known = {mark_of(row, self.batch.mark) for row in self._execute("select_sent")}
        return known.intersection(marks)

    @transaction
    def record_orphan(self, mark: Mark, run: Run, now: datetime) -> Decimal | None:
        """
        Records an orphan run, or its new status and cost.

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
    def demand_of_adoptable(self, seq: int, number: int) -> Demand | None:
        """
        What a run demands that another process started for an attempt.

        Returns:
            None when the attempt cannot take it: it has one, or is over, or its job is done.
        """
        place = self._execute("select_attempt_place", seq=seq, number=number).fetchone()
        # Another copy of the ledger may have given the place of a job of items to another job.
        if place is None or place["is_made"]:
            return None
        # Cases: the attempt has no row, so its job decides; or it has one, and must not have a run.
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
        if place["is_made"] or place["status"] in {"SUCCEEDED", "SKIPPED"}:
            return False
        # The other copy of the ledger has tried a failed job again, so it waits here too.
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
