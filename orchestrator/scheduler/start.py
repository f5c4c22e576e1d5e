"""
From an intent to a run: one start request, and when its answer is lost, the search for its run.

A start is sent again only when the platform shows no run of the first send, and its intent is older
than the start's own deadline plus the time after which a run is in the lists. Killed anywhere, the
ledger holds the intent, and the next process begins with the search.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import anyio

from orchestrator.errors import PlatformError, RunFailed, StartUnconfirmed
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import OnUnconfirmed
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.start_gate import Tally
from orchestrator.scheduler.lost_start import LostStartSearch
from orchestrator.scheduler.start_request import Answered, StartLost, StartParts, StartSender

MOST_ALIKE = 3


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
        Gives an attempt its run, and records it.

        Args:
            attempt: with an open intent.
            may_exist: whether its start may have been sent already, by a process that died: then
                its run is looked for first.
            cap_usd: the most that the run may cost, unless its job says so itself.
            wait_for_slot: called when there is no run, before the start is sent again.

        Raises:
            StartLost: it stays unclear, and no further send is allowed.
            StartPostponed: not started, and the intent is taken back.
            StartRefused: not started.
            NotAuthorized: not started, and the intent is taken back.
            PlatformError: the run cannot be looked for, or the answers to all starts are lost; the
                intent stays.

        Cancellation: the intent stays; the next process searches before it sends.
        """
        sent: Run | Answered | RunFailed | StartUnconfirmed | None = None
        tally = Tally()
        while True:
            began_at = None
            if not may_exist:
                run = await self._unsent(attempt)
                if run is not None:
                    await self._record(attempt, run, adopted=True)
                    return run
                began_at = anyio.current_time()
                sent = await self._sender.send(attempt, cap_usd)
                if isinstance(sent, Run):
                    await self._record(attempt, sent, adopted=False)
                    return sent
            run = await self._search.find(attempt, began_at)
            if run is not None:
                await self._record(attempt, run, adopted=not isinstance(sent, Answered | RunFailed))
                return run
            await self._parts.ledger.give_up(attempt)
            self._parts.finder.give_up(attempt)
            if sent is Answered.BY_A_RUN:
                raise StartLost("a run answered the start, but the platform's lists do not show it")
            self._check_patience(sent if isinstance(sent, PlatformError) else None, tally)
            await wait_for_slot()
            attempt = await self._parts.ledger.send_again(
                attempt, self._parts.utc_now(), platform_at=self._parts.client.platform_now()
            )
            may_exist = False

    async def _record(self, attempt: Attempt, run: Run, *, adopted: bool) -> None:
        """
        Records the run of an attempt.

        Raises:
            StartLost: another attempt has it.
        """
        if attempt.remedy.resurrects is None and run.id in self._parts.finder.claimed:
            raise StartLost(f"run {run.id} was found for this start, but another attempt has it")
        self._parts.finder.claim(run.id, attempt.job.target)
        self._parts.gate.accepted(attempt.job.target)
        await self._parts.ledger.started(attempt, run, adopted=adopted)
        self._parts.observer.run_started(run, adopted=adopted)
        await self._parts.finder.orphans.end_spare(attempt)

    async def _unsent(self, attempt: Attempt) -> Run | None:
        """
        A run that this attempt has already, though nobody here has sent its start.

        Another process may have, on a copy of the ledger or on what a backup does not hold.
        """
        if attempt.remedy.resurrects is not None:
            return (await self._search.look(attempt)).run
        return self._parts.finder.orphans.spare_of(attempt)

    def _check_patience(self, lost_as: PlatformError | None, tally: Tally) -> None:
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
        doubts = self._parts.gate.doubts
        if (
            doubts.since is not None
            and anyio.current_time() - doubts.since > self._parts.policy.away_secs
        ):
            raise lost_as
        if tally.add(lost_as.message, doubts.accepted) >= MOST_ALIKE:
            raise StartLost(
                f"the start was sent {MOST_ALIKE} times between starts of other jobs that were "
                f"accepted; its answer was lost each time, and no run of it was found: "
                f"{lost_as.message}"
            )
