"""
From an intent to a run: one start request, and if its answer is lost, the search for its run.

A start is sent again only when the platform shows no run of the first send, and the intent is older
than the deadline of a start plus the time after which a run is in the lists. When the process is
killed at any line, the ledger holds the intent, and the next process begins with the search.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import anyio

from orchestrator.backoff import pause_secs
from orchestrator.errors import PlatformError, RunFailed, StartUnconfirmed
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import OnUnconfirmed
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.start_gate import RepeatCount
from orchestrator.scheduler.lost_start import LostStartSearch
from orchestrator.scheduler.start_request import Answered, StartLost, StartParts, StartSender

# Without a limit, a start whose answer is always lost would be sent again for ever.
MOST_ALIKE = 5
# The same request would be refused each time; one answer alone may be odd.
MOST_FOR_ITS_SIZE = 2


class Starter:
    """Starts the runs of attempts."""

    def __init__(self, parts: StartParts) -> None:
        self._parts = parts
        self._sender = StartSender(parts)
        self._search = LostStartSearch(parts)

    async def start(
        self,
        attempt: Attempt,
        *,
        may_exist: bool = False,
        cap_usd: Decimal | None = None,
        wait_for_slot: Callable[[], Awaitable[None]],
    ) -> Run:
        """
        Starts the run of an attempt with an open intent, and records it.

        Args:
            may_exist: whether an earlier process may have sent the start: then the first step is
                the search for its run.
            cap_usd: the most that the run may cost, if its job does not say so.
            wait_for_slot: called when there is no run, before the start is sent again.

        Raises:
            StartLost: whether there is a run stays unknown, and the start must not be sent again.
            StartPostponed, NotAuthorized: there is no run, and the intent is withdrawn.
            StartRefused: there is no run.
            PlatformError: the lists cannot be read, or all answers are lost; the intent stays.

        Cancellation: the intent stays; the next process searches before it sends.
        """
        repeats = RepeatCount()
        sends = 0
        while True:
            run, lost_as = await self._send_or_find(attempt, cap_usd, may_exist=may_exist)
            if run is not None:
                return run
            self._check_repeat(lost_as, repeats)
            await self._spread(sends)
            sends += 1
            # The slot, then the intent, then the request: the same order as for the first send.
            await wait_for_slot()
            attempt = await self._parts.ledger.send_again(
                attempt, self._parts.utc_now(), platform_at=self._parts.client.platform_now()
            )
            may_exist = False

    async def _send_or_find(
        self, attempt: Attempt, cap_usd: Decimal | None, *, may_exist: bool
    ) -> tuple[Run | None, PlatformError | None]:
        """
        Sends a start once, and searches for its run if the answer does not name it.

        Returns:
            the run, or None when there is none; and how the answer was lost, if it was.
        """
        # Cases: a run is adoptable, the answer names it, the search finds it, or there is none.
        sent: Run | Answered | RunFailed | StartUnconfirmed | None = None
        began_at = None
        if not may_exist:
            run = await self._adoptable(attempt)
            if run is not None:
                await self._record(attempt, run, adopted=True)
                return run, None
            began_at = loop_time()
            sent = await self._sender.send(attempt, cap_usd)
            if isinstance(sent, Run):
                await self._record(attempt, sent, adopted=False)
                return sent, None
        run = await self._search.find(attempt, began_at)
        if run is not None:
            # The answer to a synchronous start proves its run, so the run is not adopted.
            await self._record(attempt, run, adopted=not isinstance(sent, Answered | RunFailed))
            return run, None
        # Durable first: if the run appears after a crash, it is known as an orphan run.
        await self._parts.ledger.give_up(attempt)
        self._parts.finder.give_up(attempt)
        if sent is Answered.BY_A_RUN:
            raise StartLost("a run answered the start, but the platform's lists do not show it")
        return None, sent if isinstance(sent, PlatformError) else None

    async def _spread(self, sends: int) -> None:
        """
        Pauses before a start is sent again.

        Starts that were lost together are found to have no runs together. A gateway that takes only
        so many a second would lose the same ones again.

        Args:
            sends: how often it was sent again before.
        """
        longest = pause_secs(sends, first_secs=self._parts.timings.resend_spread_secs)
        await anyio.sleep(self._parts.chance() * longest)

    async def _record(self, attempt: Attempt, run: Run, *, adopted: bool) -> None:
        """
        Records the run of an attempt.

        Raises:
            StartLost: another attempt has it.
        """
        if attempt.remedy.resurrects is None and run.id in self._parts.finder.claimed:
            raise StartLost(f"run {run.id} was found for this start, but another attempt has it")
        # Claimed before the await: meanwhile the search of another attempt must not take the run.
        self._parts.finder.claim(run.id, attempt.job.target)
        self._parts.gate.accepted(attempt.job.target)
        await self._parts.ledger.mark_started(attempt, run, adopted=adopted)
        self._parts.observer.run_started(attempt, run, adopted=adopted)
        await self._parts.finder.orphans.end_rival_of(attempt)

    async def _adoptable(self, attempt: Attempt) -> Run | None:
        """
        A run of this attempt whose start this process has not sent; None when there is none.

        Another process sent it, on a copy of the ledger or before a backup was restored.
        """
        if attempt.remedy.resurrects is not None:
            return (await self._search.read(attempt)).run
        return self._parts.finder.orphans.adoptable_run_of(attempt)

    def _check_repeat(self, lost_as: PlatformError | None, repeats: RepeatCount) -> None:
        """
        Raises when a start that has no run must not be sent again.

        Args:
            lost_as: how its answer was lost; None when an earlier process sent it.
        """
        if self._parts.policy.on_unconfirmed is OnUnconfirmed.FAIL:
            raise StartLost(
                "the answer to the start was lost and no run of it was found; "
                'on_unconfirmed = "fail" forbids a second start'
            )
        if lost_as is None:
            return
        lost = self._parts.gate.lost_answers
        away_secs = self._parts.policy.away_secs
        if lost.since is not None and loop_time() - lost.since > away_secs:
            raise lost_as
        sends = repeats.add(lost_as.message, lost.accepted)
        is_for_its_size = isinstance(lost_as, StartUnconfirmed) and lost_as.is_for_its_size
        if is_for_its_size and repeats.in_a_row >= MOST_FOR_ITS_SIZE:
            raise StartLost(
                f"the start was sent {MOST_FOR_ITS_SIZE} times, and no run of it was found: "
                f"{lost_as.message}"
            )
        if sends >= MOST_ALIKE:
            raise StartLost(
                f"the start was sent {MOST_ALIKE} times between starts of other jobs that were "
                f"accepted; its answer was lost each time, and no run of it was found: "
                f"{lost_as.message}"
            )
