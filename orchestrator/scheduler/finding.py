"""
Finds the run of a start whose answer was lost, by the mark that the start carried.

Many attempts may look at the same time: one pass over the account's list of runs serves all that
asked before it began.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import anyio

from orchestrator.client import ApifyClient
from orchestrator.errors import NotFound
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.runs import Run

MARK = re.compile(r"\(attempt ([a-z0-9.]+)\)")
CLOCK_SKEW = timedelta(minutes=5)
"""
The most that the platform's clock may differ from ours: how much further back a pass looks.
"""


SHORTEST_INTERVAL_SECS = 1.0


class RunFinder:
    """
    Looks for runs by mark.
    """

    def __init__(self, client: ApifyClient) -> None:
        self._client = client
        self._lock = anyio.Lock()
        self._asked: dict[Mark, datetime] = {}
        self._found: dict[Mark, Run] = {}
        self._agents: dict[RunId, str] = {}
        self._passes = 0
        self._next_pass_at = 0.0

    async def find(self, mark: Mark, since: datetime) -> Run | None:
        """
        The run that was started with this mark; None when the platform shows none now.

        Args:
            since: when the start was intended, by our clock.

        Raises:
            PlatformError: the lists cannot be read.
        """
        self._asked[mark] = since
        try:
            passes = self._passes
            async with self._lock:
                # A pass that began after the question has the answer; an earlier one has not.
                if self._passes == passes:
                    # Waiting a little lets more questions share the pass.
                    await anyio.sleep_until(self._next_pass_at)
                    self._next_pass_at = anyio.current_time() + SHORTEST_INTERVAL_SECS
                    self._passes += 1
                    await self._look(min(self._asked.values()) - CLOCK_SKEW)
            return self._found.pop(mark, None)
        finally:
            del self._asked[mark]

    async def _look(self, since: datetime) -> None:
        offset = 0
        while True:
            page = await self._client.list_runs(started_after=since, offset=offset)
            for item in page.items:
                agent = item.meta.user_agent if item.meta else None
                if agent is None:
                    agent = await self._agent_of(RunId(item.id))
                found = MARK.search(agent)
                if found and found[1] in self._asked:
                    self._found[Mark(found[1])] = item.facts()
            offset += len(page.items)
            if not page.items or offset >= page.total:
                return

    async def _agent_of(self, run_id: RunId) -> str:
        """
        The user agent of a run that the list leaves it out of; one request for each new run.
        """
        if run_id not in self._agents:
            try:
                run = await self._client.get_run(run_id)
            except NotFound:
                return ""
            self._agents[run_id] = run.facts().user_agent or ""
        return self._agents[run_id]
