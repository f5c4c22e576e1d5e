"""
Finds the run of a start whose answer was lost, by the mark that the start carried.

Many attempts may look at the same time: one pass over the account's list of runs serves all that
asked before it began. Where a platform does not give user agents back, a run can still be told by
its input and options: weaker, and so only the last resort.

That a run is absent counts only in a list that is known to show the runs of its Actor: a scoped
token may see a part of the account.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain, repeat

import anyio
import orjson

from orchestrator.apify import ApifyClient, models
from orchestrator.errors import NotAuthorized, PermanentError, PlatformError, TransientError
from orchestrator.model.attempts import Attempt
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import MAX_INPUT_BYTES, RunOptions, Target, TargetKind
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.ownership import MARK
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_list import RunListing
from orchestrator.scheduler.timings import TIMINGS, Timings

INPUT_PAUSES_SECS = (1.0, 2.0, 4.0, 8.0)
WATCH_SECS = (5.0, 10.0, 15.0, 30.0, 60.0)
"""How long after the one before each look for runs of another process begins."""

MOST_READS = 2000
"""So many runs are read one by one where lists leave user agents out."""


@dataclass(frozen=True, slots=True)
class Look:
    """
    What a pass over the lists has shown of one start.

    Attributes:
        run: that was found; None when there is none.
        is_proof: whether a run of this start would have been on the lists that were read.
    """

    run: Run | None
    is_proof: bool


async def no_other(_run_id: RunId) -> bool:
    """For a batch that has no neighbours."""
    return False


class RunFinder:
    """
    Looks for runs.

    Args:
        orphans: takes the runs of this batch that it meets and that belong to no attempt.
        claimed: the runs of this batch that belong to an attempt, and what they run; kept up to
            date by `claim`.
        is_of_another: whether a run belongs to another batch of the same output folder.
        targets: the Actors and tasks of this batch, as far as they are known.
        agents_hidden: called when no more runs are read one by one for their user agents.

    Attributes:
        orphans: as given.
        has_unread: whether the last pass met a run on a list that it could not read.
    """

    def __init__(
        self,
        client: ApifyClient,
        orphans: Orphans,
        claimed: Mapping[RunId, Target] | None = None,
        *,
        is_of_another: Callable[[RunId], Awaitable[bool]] = no_other,
        targets: Iterable[Target] = (),
        agents_hidden: Callable[[int], None] = lambda _read: None,
        timings: Timings = TIMINGS,
    ) -> None:
        self._client = client
        self.orphans = orphans
        self._claimed = dict(claimed or {})
        self._is_of_another = is_of_another
        self._agents_hidden = agents_hidden
        self._timings = timings
        self._targets = set(targets)
        self._lock = anyio.Lock()
        self._asked: dict[Mark, Attempt] = {}
        self._found: dict[Mark, Run] = {}
        self._agents: dict[RunId, str] = {}
        self._target_ids: dict[Target, str] = {}
        self._nameless: dict[RunId, models.Run] = {}
        self._proven: set[Target] = set()
        self.has_unread = False
        self._passes = 0
        self._next_pass_at = 0.0

    async def find(self, attempt: Attempt) -> Look:
        """
        The run of the last send of an attempt, as far as the platform shows it now.

        Raises:
            TransientError, NotAuthorized: the lists cannot be read.
        """
        mark = attempt.mark
        self._asked[mark] = attempt
        try:
            passes = self._passes
            async with self._lock:
                # A pass that began after the question has the answer; an earlier one has not.
                if self._passes == passes:
                    # Waiting a little lets more questions share the pass.
                    await anyio.sleep_until(self._next_pass_at)
                    self._next_pass_at = anyio.current_time() + self._timings.list_interval_secs
                    self._passes += 1
                    await self._look_for_asked()
            return Look(self._found.pop(mark, None), attempt.job.target in self._proven)
        finally:
            del self._asked[mark]

    def give_up(self, attempt: Attempt) -> None:
        """
        Notes that the run of a send counts as absent: if the lists show it later, it is aborted.
        """
        self.orphans.give_up(attempt.mark, attempt.listed_from)

    async def look_over(self, since: datetime) -> dict[RunId, Decimal | None] | None:
        """
        One pass over the runs of the account since the batch began, at the take-over.

        Those with a mark that no intent has are spare from then on.

        Returns:
            what each run of the list has cost; None when the list cannot be read.

        Raises:
            TransientError, NotAuthorized: the platform is away, or refuses the token.
        """
        costs: dict[RunId, Decimal | None] = {}

        def note(item: models.RunListItem) -> None:
            if item.id in self._claimed:
                costs[RunId(item.id)] = item.usage_total_usd

        async with self._lock:
            is_readable = await self._look(since, None, note=note) is not None
        return costs if is_readable else None

    async def look_for_orphans(self) -> None:
        """
        One more look for runs whose starts were given up; no request when none was.

        Raises:
            PlatformError: the lists cannot be read.
        """
        async with self._lock:
            if self.orphans.since is not None:
                reads = self.orphans.has_given_up
                await self._look(self.orphans.since, None, reads_one_by_one=reads)

    async def watch_for_copies(self) -> None:
        """
        Looks again and again for runs of this batch that another process starts, until cancelled.

        Returns at once when this process made the batch: then there is no copy to take over from.

        Raises:
            SecondCopy: there are such runs.
        """
        since = self.orphans.took_over_at
        for pause_secs in chain(WATCH_SECS, repeat(WATCH_SECS[-1])):
            if since is None:
                return
            await anyio.sleep(pause_secs)
            with suppress(TransientError):
                async with self._lock:
                    await self._look(since, None, reads_one_by_one=False)

    @property
    def claimed(self) -> Container[RunId]:
        """The runs of this batch that belong to an attempt."""
        return self._claimed

    def claim(self, run_id: RunId, target: Target) -> None:
        """Notes that a run belongs to an attempt: it is found for no other one."""
        self._claimed[run_id] = target
        self._nameless.pop(run_id, None)

    async def find_by_input(self, attempt: Attempt, body: bytes | None) -> Run | None:
        """
        A run of this attempt's target, with its input and options, that began after its intent.

        Only of those that earlier passes have seen, that no attempt here or in another batch of
        this output folder has, and of which the platform does not tell who started them.

        Args:
            body: what was sent.
        """
        for run_id, run in list(self._nameless.items()):
            facts = run.facts()
            fits = (
                facts.started_at >= (attempt.platform_at or attempt.listed_from)
                and fits_options(run, attempt.options)
                and await self._is_of(run, attempt.job.target)
                and await self._has_input(run, body)
                and not await self._is_of_another(run_id)
            )
            # Another attempt may have taken it meanwhile.
            if fits and self._nameless.pop(run_id, None) is not None:
                return facts
        return None

    async def _is_of(self, run: models.Run, target: Target) -> bool:
        of = run.act_id if target.kind is TargetKind.ACTOR else run.actor_task_id
        try:
            return of is None or of == await self._id_of(target)
        except PermanentError:
            # Nothing tells that it is of another one: input and options decide.
            return True

    async def _id_of(self, target: Target) -> str:
        if target not in self._target_ids:
            self._target_ids[target] = (await self._client.get_target(target)).id
        return self._target_ids[target]

    async def _has_input(self, run: models.Run, body: bytes | None) -> bool:
        """
        Whether a run has the input that was sent.

        Raises:
            TransientError: its input goes on breaking off: the run may be the one.
        """
        if body is None:
            return True
        for pause_secs in INPUT_PAUSES_SECS:
            try:
                return await self._holds(run, body)
            except PlatformError as error:
                # One odd answer would make it another's run, and start a second one.
                if error.concerns_every_job:
                    raise
                await anyio.sleep(pause_secs)
        try:
            return await self._holds(run, body)
        except PermanentError as error:
            if error.concerns_every_job:
                raise
            return False

    async def _holds(self, run: models.Run, body: bytes) -> bool:
        async with self._client.stream_record(run.facts().store_id, "INPUT") as download:
            return contains(await download.read(MAX_INPUT_BYTES * 2), body)

    async def _look_for_asked(self) -> None:
        """
        One pass for all questions: the account's list, and where that proves nothing, each Actor's.
        """
        since = min(attempt.listed_from for attempt in self._asked.values())
        targets = {attempt.job.target for attempt in self._asked.values()}
        self._proven = set(await self._look(since, None) or ())
        for target in targets - self._proven:
            self._proven.update(await self._look(since, target) or ())

    async def _look(
        self,
        since: datetime,
        target: Target | None,
        *,
        reads_one_by_one: bool = True,
        note: Callable[[models.RunListItem], None] = lambda _item: None,
    ) -> set[Target] | None:
        """
        One pass over a list of runs that began after an instant of the platform's clock.

        Args:
            note: called with each run.

        Returns:
            the Actors and tasks of which the list shows all runs: what it is the own list of; of
            the account's list, those of which it shows a run that this batch knows. None when it
            cannot be read.
        """
        self.has_unread = False
        listing = RunListing(self._client, since, target=target)
        shown = set() if target is None else {target}
        try:
            async for item in listing:
                note(item)
                if item.id in self._claimed:
                    if item.started_at is not None and item.started_at >= since:
                        shown.add(self._claimed[RunId(item.id)])
                    continue
                await self._meet(item, reads_one_by_one=reads_one_by_one)
        except PermanentError as error:
            if isinstance(error, NotAuthorized) and error.status == 401:
                raise
            # A token may be shown an Actor's own runs, and not the account's, or neither.
            return None
        await self.orphans.end_met()
        return shown if listing.is_whole and not self.has_unread else set()

    async def _meet(self, item: models.RunListItem, *, reads_one_by_one: bool) -> None:
        agent = item.meta.user_agent if item.meta else None
        if agent is None:
            agent = await self._agent_of(item) if reads_one_by_one else ""
        found = MARK.search(agent)
        if not found:
            return
        mark = Mark(found[1])
        if mark in self._asked:
            self._found[mark] = item.facts()
        else:
            self.orphans.met(mark, item.facts())

    async def _agent_of(self, item: models.RunListItem) -> str:
        """
        The user agent of a run that the list leaves it out of; one request for each new run.

        Of the batch's own Actors only, and of so many runs at most: an account may have a million.
        """
        run_id = RunId(item.id)
        if run_id not in self._agents:
            if not await self._may_be_ours(item):
                return ""
            if len(self._agents) >= MOST_READS:
                self._agents_hidden(MOST_READS)
                return ""
            try:
                run = await self._client.get_run(run_id, insist=True)
            except PlatformError as error:
                if not error.costs_its_job:
                    raise
                # Listed, and not to be read: it may be the one that is looked for.
                self.has_unread = True
                return ""
            agent = self._agents[run_id] = run.facts().user_agent or ""
            if not agent and run_id not in self._claimed:
                self._nameless[run_id] = run
        return self._agents[run_id]

    async def _may_be_ours(self, item: models.RunListItem) -> bool:
        """Whether a run is of an Actor or task that a start of this process was sent to."""
        targets = self._targets | {attempt.job.target for attempt in self._asked.values()}
        for target in targets - self._target_ids.keys():
            with suppress(PermanentError, TransientError):
                await self._id_of(target)
        if not self._target_ids:
            return True
        return any(
            of is None or of == wanted
            for target, wanted in self._target_ids.items()
            for of in (item.act_id if target.kind is TargetKind.ACTOR else item.actor_task_id,)
        )


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


def fits_options(run: models.Run, options: RunOptions) -> bool:
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
