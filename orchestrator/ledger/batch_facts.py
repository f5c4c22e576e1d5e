"""What concerns a batch as a whole: why its jobs wait, what it costs, how it is closed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from orchestrator.errors import OrchestratorError
from orchestrator.ledger.rows import batch_of
from orchestrator.ledger.store import slices
from orchestrator.ledger.stored_values import progress_text, stored, waits_text
from orchestrator.ledger.transactions import Transactions, transaction
from orchestrator.model.batches import Batch, BatchState
from orchestrator.model.ids import RunId
from orchestrator.model.progress import Progress, Wait

EXACTNESS = timedelta(seconds=2)
"""The platform's time comes from a header without fractions of a second."""


class BatchFacts(Transactions):
    """Facts of the batch."""

    @transaction
    def check_owner(self) -> None:
        """Checks that the file and the batch are still this process's, as each call does."""

    async def hold_lease(self, secs: float) -> None:
        """Returns when the lease of this process outlasts so many seconds; a file needs none."""
        while self._db.lease_left() < secs:
            await self.check_owner()

    @transaction
    def record_waits(self, waits: Sequence[Wait]) -> None:
        """Records why jobs wait, for commands that show the batch meanwhile."""
        self._write("set_waits", waits=waits_text(waits))

    @transaction
    def record_progress(self, progress: Progress) -> None:
        """Records the figures of the live batch, for commands that show it meanwhile."""
        self._write("set_progress", progress=progress_text(progress))
        self._write("see_call", seen_at=stored(progress.at))

    @transaction
    def begin_call(self, command: str, caller: str, now: datetime) -> None:
        """Records that this process works on the batch, which an earlier process has left."""
        self._execute("insert_call", command=command, caller=caller, began_at=stored(now))

    @transaction
    def add_requests(self, requests: int, retries: int, answers: Mapping[int, int]) -> None:
        """
        Adds to the counts of requests sent.

        Args:
            answers: how many of them were answered, by HTTP status.
        """
        # First of all: processes that share the batch add at the same time.
        self._execute("add_requests", requests=requests, retries=retries)
        before = batch_of(self._execute("select_batch").fetchone()).answers
        total = Counter({int(status): count for status, count in before.items()})
        total.update(answers)
        self._execute("set_answers", answers=json.dumps(total))

    @transaction
    def record_costs(
        self, costs: Mapping[RunId, Decimal | None], asked_at: datetime, *, are_all: bool = False
    ) -> None:
        """
        Records what runs have cost, as the platform reports it.

        Args:
            costs: None where the platform does not report it.
            asked_at: the platform's time at the question.
            are_all: whether all runs of the batch were asked for. Those that ended more than a day
                ago and are not listed any more then keep the cost that they have.
        """
        cost_at, newest = stored(asked_at), stored(asked_at + EXACTNESS)
        for run_id, cost in costs.items():
            usd = None if cost is None else str(cost)
            # The id does not say which kind of run it is; the other statement changes no row.
            for query in ("set_cost", "set_orphan_cost"):
                self._execute(query, run_id=run_id, cost_usd=usd, cost_at=cost_at, newest=newest)
        if are_all:
            for first, end in slices(self._db):
                self._execute("set_old_costs_at", cost_at=cost_at, first=first, end=end)

    @transaction
    def set_costs_settle_secs(self, secs: float) -> None:
        """Records how long after the end of a run its cost is final."""
        self._execute("set_costs_settle_secs", secs=secs)

    @transaction
    def set_keeps_days(self, days: int) -> None:
        """Records how long the platform keeps what runs have made."""
        self._execute("set_keeps_days", keeps_days=days)

    @transaction
    def set_limits(self, max_runs: int, max_memory_mbytes: int | None) -> None:
        """Records what may be in use at once."""
        self._execute("set_limits", max_runs=max_runs, max_memory_mbytes=max_memory_mbytes)

    @transaction
    def judge_batch(self) -> Batch:
        """Derives the exit code of a batch that has ended from its jobs, and returns the batch."""
        self._execute("judge_batch")
        return batch_of(self._execute("select_batch").fetchone())

    @transaction
    def close(
        self,
        state: BatchState,
        *,
        exit_code: int,
        reason: OrchestratorError | None,
        now: datetime,
        owes_news: bool = False,
        is_idle: bool = False,
        kept_end: datetime | None = None,
    ) -> Batch:
        """
        Records how this process leaves the batch, and returns the batch.

        Args:
            is_idle: whether it had nothing to do: then the batch keeps the end that it had.
            kept_end: the end that a process which shared the batch has recorded, and which stays.
        """
        ended_at = kept_end or (self.batch.ended_at if is_idle else None) or now
        if is_idle:
            self._execute("idle_call")
        elif kept_end is None:
            self._execute("see_call", seen_at=stored(now))
        self._execute(
            "close_batch",
            state=state,
            exit_code=exit_code,
            stop_reason=None if reason is None else str(reason),
            # Later decisions need the kind of the reason, and must not depend on its words.
            stop_kind=None if reason is None else type(reason).__name__,
            ended_at=stored(ended_at),
            owes_news=owes_news,
        )
        return batch_of(self._execute("select_batch").fetchone())
