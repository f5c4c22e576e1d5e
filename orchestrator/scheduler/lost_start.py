"""
The search for the run of a start whose answer was lost.

It ends when the run is found, or cannot appear any more. A run cannot appear when the deadline of
the start and `settle_secs` have passed, and a list that was read after that does not show it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import anyio

from orchestrator.errors import PlatformError
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import OnUnconfirmed
from orchestrator.model.jobs import Mode
from orchestrator.model.runs import Run
from orchestrator.scheduler.run_search import SearchResult
from orchestrator.scheduler.start_request import StartLost, StartParts
from orchestrator.scheduler.timings import CLOCK_GRAIN_SECS


class LostStartSearch:
    """Searches for the runs of starts."""

    def __init__(self, parts: StartParts) -> None:
        self._parts = parts

    async def find(self, attempt: Attempt, began_at: float | None) -> Run | None:
        """
        Searches for the run of a send until it is found, or cannot appear any more.

        Args:
            began_at: when it was sent, on the monotonic clock; None when another process did it.

        Raises:
            StartLost: the lists cannot prove that there is none.
        """
        absent_at = unproven_since = math.inf
        while True:
            began_search_at = loop_time()
            found = await self.read(attempt)
            if found.run is not None:
                return found.run
            if absent_at == math.inf:
                absent_at = self._absent_at(attempt, began_at)
            # Only a search that began after the deadline can prove that there is no run. A refused
            # list is read again, because one odd answer would leave the start unclear.
            if began_search_at >= absent_at:
                unproven_since = min(unproven_since, began_search_at)
                if (
                    found.is_proof
                    or began_search_at >= unproven_since + self._parts.timings.list_patience_secs
                ):
                    return await self._find_otherwise(attempt, found)
            await anyio.sleep(self._parts.timings.search_interval_secs)

    def _absent_at(self, attempt: Attempt, began_at: float | None) -> float:
        """
        When the run of a send cannot appear any more, at the first answer to a search.

        On the monotonic clock: the wall clock is not used.
        """
        timings, policy = self._parts.timings, self._parts.policy
        wait_secs = timings.sync_wait_secs if attempt.job.mode is Mode.SYNC else 0
        now = loop_time()
        sent_at = now - self._age_secs(attempt) if began_at is None else began_at
        # What was lost on the way is sent again by the last computer that had it, after pauses that
        # double: at most as long after the end of a silence as it has lasted.
        late_secs = min(2 * (now - sent_at), timings.late_delivery_secs)
        arrives_at = sent_at + max(policy.start_deadline_secs + wait_secs, late_secs)
        # A platform that did not answer may process earlier requests only now.
        return max(arrives_at, now) + policy.settle_secs

    def _age_secs(self, attempt: Attempt) -> float:
        """
        How long ago an earlier process sent a start, at least, by the platform's clock.

        If that is not known, the start counts as sent just now.
        """
        platform_now = self._parts.client.platform_now()
        if attempt.platform_at is None or platform_now is None:
            return 0.0
        passed = (platform_now - attempt.platform_at).total_seconds()
        return max(0.0, passed - CLOCK_GRAIN_SECS)

    async def read(self, attempt: Attempt) -> SearchResult:
        """The run of a send, if the platform shows it now; a resurrection is known by its count."""
        remedy = attempt.remedy
        if remedy.resurrects is None:
            found = await self._parts.finder.find(attempt)
            is_taken = found.run is not None and found.run.id in self._parts.finder.claimed
            return replace(found, run=None) if is_taken else found
        try:
            run = (await self._parts.client.runs.get(remedy.resurrects, insist=True)).facts()
        except PlatformError as error:
            if not error.costs_its_job:
                raise
            raise StartLost(f"it is unknown whether the run was resurrected: {error}") from error
        if run.resurrect_count is None:
            has_begun = not run.is_terminal
        else:
            has_begun = run.resurrect_count > remedy.resurrect_count
        return SearchResult(run if has_begun else None, is_proof=True)

    async def _find_otherwise(self, attempt: Attempt, found: SearchResult) -> Run | None:
        """
        The last ways to find a run, when no list shows one with the mark of the send.

        Raises:
            StartLost: the lists cannot prove that there is none.
        """
        if attempt.remedy.resurrects is not None:
            return None
        run = self._parts.finder.orphans.adoptable_run_of(attempt)
        if run is None and self._parts.policy.on_unconfirmed is OnUnconfirmed.ADOPT:
            body = await self._parts.read_input(attempt.job)
            run = await self._parts.finder.find_by_input(attempt, body)
        may_restart = found.is_proof or self._parts.policy.on_unconfirmed is OnUnconfirmed.RESTART
        if run is None and not may_restart:
            raise StartLost(
                "the answer to the start was lost, and no list that this token may read shows "
                "whether it has a run. Search for the run in the Console, or use a token that may "
                f"list the runs of {attempt.job.target}"
            )
        return run
