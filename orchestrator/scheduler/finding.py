"""
Finds the run of a start whose answer was lost, by the mark that the start carried.

Many attempts may look at the same time: one pass over the account's list of runs serves all that
asked before it began. Where a platform does not give user agents back, a run can still be told by
its input and options: weaker, and so only the last resort.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from datetime import datetime

import anyio
import orjson

from orchestrator.client import ApifyClient, wire
from orchestrator.errors import NotFound, TransientError
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import MAX_INPUT_BYTES, RunOptions, Target, TargetKind
from orchestrator.model.runs import Run
from orchestrator.scheduler.answers import MARK
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_list import runs_since

SHORTEST_INTERVAL_SECS = 1.0


class RunFinder:
    """
    Looks for runs.

    Args:
        orphans: takes the runs that it meets and nobody waits for any more.
        claimed: the runs of this batch that belong to an attempt; kept up to date by `claim`.
        utc_now: our wall clock.
    """

    def __init__(
        self,
        client: ApifyClient,
        orphans: Orphans,
        claimed: Iterable[RunId] = (),
        *,
        utc_now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._orphans = orphans
        self._utc_now = utc_now
        self._claimed = set(claimed)
        self._lock = anyio.Lock()
        self._asked: dict[Mark, datetime] = {}
        self._found: dict[Mark, Run] = {}
        self._agents: dict[RunId, str] = {}
        self._target_ids: dict[Target, str] = {}
        self._nameless: dict[RunId, wire.Run] = {}
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
                    await self._look(min(self._asked.values()))
            return self._found.pop(mark, None)
        finally:
            del self._asked[mark]

    def give_up(self, mark: Mark, since: datetime) -> None:
        """
        Notes that the run of a send counts as absent: should it turn up, it is aborted.
        """
        self._orphans.give_up(mark, since)

    async def look_for_orphans(self) -> None:
        """
        One more look for runs whose starts were given up; no request when none was.

        Raises:
            PlatformError: the lists cannot be read.
        """
        async with self._lock:
            if self._orphans.since is not None:
                await self._look(self._orphans.since)

    @property
    def claimed(self) -> Container[RunId]:
        """
        The runs of this batch that belong to an attempt.
        """
        return self._claimed

    def claim(self, run: Run) -> None:
        """
        Notes that a run belongs to an attempt: it is found for no other one.
        """
        self._claimed.add(run.id)
        self._nameless.pop(run.id, None)

    async def find_by_input(
        self, target: Target, options: RunOptions, body: bytes | None
    ) -> Run | None:
        """
        A run of this target, with this input and these options.

        Only of those that earlier passes have seen, that no attempt has claimed, and of which the
        platform does not tell who started them.

        Args:
            body: what was sent.
        """
        for run_id, run in list(self._nameless.items()):
            fits = (
                fits_options(run, options)
                and await self._is_of(run, target)
                and await self._has_input(run, body)
            )
            # Another attempt may have taken it meanwhile.
            if fits and self._nameless.pop(run_id, None) is not None:
                return run.facts()
        return None

    async def _is_of(self, run: wire.Run, target: Target) -> bool:
        if target not in self._target_ids:
            self._target_ids[target] = (await self._client.get_target(target)).id
        of = run.act_id if target.kind is TargetKind.ACTOR else run.actor_task_id
        return of is None or of == self._target_ids[target]

    async def _has_input(self, run: wire.Run, body: bytes | None) -> bool:
        if body is None:
            return True
        try:
            async with self._client.stream_record(run.facts().store_id, "INPUT") as download:
                return contains(await download.read(MAX_INPUT_BYTES * 2), body)
        except (NotFound, TransientError):
            return False

    async def _look(self, since: datetime) -> None:
        """
        One pass over the runs that began after an instant of our clock.
        """
        orphans = []
        async for item in runs_since(self._client, since, utc_now=self._utc_now):
            agent = item.meta.user_agent if item.meta else None
            if agent is None:
                agent = await self._agent_of(RunId(item.id))
            found = MARK.search(agent)
            if not found:
                continue
            mark = Mark(found[1])
            if mark in self._asked:
                self._found[mark] = item.facts()
            elif item.id not in self._claimed and self._orphans.is_new(mark, RunId(item.id)):
                orphans.append((mark, item.facts()))
        for mark, run in orphans:
            await self._orphans.end(mark, run)

    async def _agent_of(self, run_id: RunId) -> str:
        """
        The user agent of a run that the list leaves it out of; one request for each new run.
        """
        if run_id in self._claimed:
            return ""
        if run_id not in self._agents:
            try:
                run = await self._client.get_run(run_id)
            except NotFound:
                return ""
            agent = self._agents[run_id] = run.facts().user_agent or ""
            if not agent and run_id not in self._claimed:
                self._nameless[run_id] = run
        return self._agents[run_id]


def contains(record: bytes, sent: bytes) -> bool:
    """
    Whether an INPUT record holds what was sent.

    As JSON values, property by property: the platform merges a task's input and the defaults of
    the input schema in. Anything else must be the same bytes.
    """
    try:
        held, wanted = orjson.loads(record), orjson.loads(sent)
    except orjson.JSONDecodeError:
        return record == sent
    if not (isinstance(held, dict) and isinstance(wanted, dict)):
        return bool(held == wanted)
    return all(name in held and held[name] == value for name, value in wanted.items())


def fits_options(run: wire.Run, options: RunOptions) -> bool:
    """
    Whether a run has the options that a start asked for; what was not asked for does not count.
    """
    has = run.options
    if has is None:
        return True
    asked = (
        (options.memory_mbytes, has.memory_mbytes),
        (options.timeout_secs, has.timeout_secs),
        (options.max_items, has.max_items),
    )
    return all(wanted is None or wanted == held for wanted, held in asked)
