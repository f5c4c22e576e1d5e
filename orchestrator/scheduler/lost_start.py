"""
The search for the run of a start whose answer was lost.

It goes on until the run is found, or cannot appear any more: when a list that was read after the
start's own deadline, and the time after which a run is in the lists, does not show it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import anyio

from orchestrator.errors import PlatformError
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import OnUnconfirmed
from orchestrator.model.jobs import Mode
from orchestrator.model.runs import Run
from orchestrator.scheduler.run_search import Look
from orchestrator.scheduler.start_request import StartLost, StartParts

CLOCK_GRAIN_SECS = 1.0
"""The platform's `Date` tells whole seconds."""


class LostStartSearch:
    """Searches for the runs of starts."""

    def __init__(self, parts: StartParts) -> None:
        self._parts = parts

    async def find(self, attempt: Attempt, began_at: float | None) -> Run | None:
        """
        Looks for the run of a send, at once and again, until it cannot appear any more.

        Args:
            began_at: when it was sent, on the monotonic clock; None when another process did it.

        Raises:
            StartLost: the lists do not show whether there is one.
        """
        settle_secs = self._parts.policy.settle_secs
        absent_at = doubted_at = math.inf
        while True:
            looked_at = anyio.current_time()
            look = await self.look(attempt)
            if look.run is not None:
                return look.run
            if absent_at == math.inf:
                # A platform that was silent may do now what it was asked meanwhile.
                absent_at = anyio.current_time() + settle_secs
                absent_at = max(absent_at, self._absent_at(attempt, began_at))
            # Only a look that began after the deadline can show that there is nothing. A list that
            # was refused is asked for again: one odd answer would leave the start unclear.
            if looked_at >= absent_at:
                doubted_at = min(doubted_at, looked_at)
                if (
                    look.is_proof
                    or looked_at >= doubted_at + self._parts.timings.list_patience_secs
                ):
                    return await self._find_otherwise(attempt, look)
            await anyio.sleep(self._parts.timings.search_interval_secs)

    def _absent_at(self, attempt: Attempt, began_at: float | None) -> float:
        """
        From when on the run of a send cannot appear any more, on the monotonic clock.

        The wall clock has no say. What an earlier process sent is as old as the platform's clock
        shows, and where that is not known, it was sent just now.
        """
        wait_secs = self._parts.timings.sync_wait_secs if attempt.job.mode is Mode.SYNC else 0
        longest = (
            self._parts.policy.start_deadline_secs + wait_secs + self._parts.policy.settle_secs
        )
        if began_at is not None:
            return began_at + longest
        passed = 0.0
        platform_now = self._parts.client.platform_now()
        if attempt.platform_at is not None and platform_now is not None:
            passed = (platform_now - attempt.platform_at).total_seconds() - CLOCK_GRAIN_SECS
        return anyio.current_time() + longest - min(max(0.0, passed), longest)

    async def look(self, attempt: Attempt) -> Look:
        """
        The run of a send, as far as the platform shows it now; a resurrection by the run's count.
        """
        remedy = attempt.remedy
        if remedy.resurrects is None:
            look = await self._parts.finder.find(attempt)
            is_taken = look.run is not None and look.run.id in self._parts.finder.claimed
            return replace(look, run=None) if is_taken else look
        try:
            run = (await self._parts.client.get_run(remedy.resurrects, insist=True)).facts()
        except PlatformError as error:
            if not error.costs_its_job:
                raise
            raise StartLost(f"whether the run was resurrected is not known: {error}") from error
        if run.resurrect_count is None:
            has_begun = not run.is_terminal
        else:
            has_begun = run.resurrect_count > remedy.resurrect_count
        return Look(run if has_begun else None, is_proof=True)

    async def _find_otherwise(self, attempt: Attempt, look: Look) -> Run | None:
        """
        The last resorts, when no list shows a run with the mark of the send.

        Raises:
            StartLost: the lists do not show whether there is one.
        """
        if attempt.remedy.resurrects is not None:
            return None
        run = self._parts.finder.orphans.spare_of(attempt)
        if run is None and self._parts.policy.on_unconfirmed is OnUnconfirmed.ADOPT:
            body = await self._parts.read_input(attempt.job)
            run = await self._parts.finder.find_by_input(attempt, body)
        may_restart = look.is_proof or self._parts.policy.on_unconfirmed is OnUnconfirmed.RESTART
        if run is None and not may_restart:
            raise StartLost(
                "the answer to the start was lost, and no list that this token may read shows "
                "whether there is a run of it. Look for it in the Console; a token that may "
                f"list the runs of {attempt.job.target} would show it"
            )
        return run
