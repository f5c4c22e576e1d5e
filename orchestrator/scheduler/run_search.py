"""
Finds the run of a start whose answer was lost, by the mark in the request.

Many attempts may search at the same time: one pass over the account's list of runs serves all that
asked before it began. If the platform hides user agents, a run can still be found by its input and
options. This is weaker, so it is the last step.

That a run is absent is proven only by a list that is known to show the runs of its Actor: a scoped
token may see only a part of the account.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, repeat

import anyio

from orchestrator.apify import ApifyClient, models
from orchestrator.errors import NotAuthorized, PermanentError, PlatformError, TransientError
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Attempt
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import MAX_INPUT_BYTES, RunOptions, Target, TargetKind
from orchestrator.model.runs import Run
from orchestrator.model.states import TERMINAL_RUN_STATUSES
from orchestrator.scheduler.decide.claimed_runs import ClaimedRuns
from orchestrator.scheduler.decide.ownership import MARK, contains
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_list import ListedCosts, RecordCosts, RunListing
from orchestrator.scheduler.timings import TIMINGS, Timings

INPUT_PAUSES_SECS = (1.0, 2.0, 4.0, 8.0)
WATCH_SECS = (5.0, 10.0, 15.0, 30.0, 60.0)
"""The pauses between two searches for runs of another process; the last one repeats."""

MOST_READS = 2000
"""How many runs are read one by one, if lists do not show user agents."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """
    What one pass over the lists has found of one start.

    Attributes:
        run: None when no run was found.
        is_proof: whether the lists that were read would have shown a run of this start.
    """

    run: Run | None
    is_proof: bool


async def no_other(_run_id: RunId) -> bool:
    """For a batch without others in its output folder."""
    return False


class RunFinder:
    """
    Searches for runs.

    Args:
        orphans: gets the listed runs of this batch that belong to no attempt.
        claimed: the runs that belong to attempts, with their targets; `claim` adds to them.
        is_of_another: whether a run belongs to another batch of the same output folder.
        targets: the Actors and tasks of this batch, as far as they are known.
        agents_hidden: called when no more runs are read one by one for their user agents.
        most_reads: how many runs are read so, because lists do not show user agents.

    Attributes:
        orphans: as given.
        has_unread: whether the last pass found a run in a list that it could not read.
    """

    def __init__(
        self,
        client: ApifyClient,
        orphans: Orphans,
        claimed: Iterable[tuple[RunId, Target]] = (),
        *,
        is_of_another: Callable[[RunId], Awaitable[bool]] = no_other,
        targets: Iterable[Target] = (),
        agents_hidden: Callable[[int], None] = lambda _read: None,
        timings: Timings = TIMINGS,
        most_reads: int = MOST_READS,
    ) -> None:
        self._client = client
        self.orphans = orphans
        self._claimed = ClaimedRuns(claimed)
        self._is_of_another = is_of_another
        self._agents_hidden = agents_hidden
        self._timings = timings
        self._most_reads = most_reads
        self._targets = set(targets)
        self._lock = anyio.Lock()
        self._asked: dict[Mark, Attempt] = {}
        self._found: dict[Mark, Run] = {}
        self._agents: dict[RunId, str] = {}
        # None: the platform does not show it.
        self._target_ids: dict[Target, str | None] = {}
        self._unmarked: dict[RunId, models.Run] = {}
        self._proven: set[Target] = set()
        self.has_unread = False
        self._has_skipped = False
        self._passes = 0
        self._next_pass_at = 0.0

    async def find(self, attempt: Attempt) -> SearchResult:
        """
        The run of the last send of an attempt, if the platform shows it now.

        Raises:
            TransientError, NotAuthorized: the lists cannot be read.
        """
        mark = attempt.mark
        self._asked[mark] = attempt
        try:
            passes = self._passes
            async with self._lock:
                # Only a pass that began after this call can answer it.
                if self._passes == passes:
                    # A short pause lets more attempts share the pass.
                    await anyio.sleep_until(self._next_pass_at)
                    self._next_pass_at = loop_time() + self._timings.list_interval_secs
                    self._passes += 1
                    await self._search_for_asked()
            return SearchResult(self._found.pop(mark, None), attempt.job.target in self._proven)
        finally:
            del self._asked[mark]

    def give_up(self, attempt: Attempt) -> None:
        """Notes that the run of a send counts as absent: it is aborted if a list shows it later."""
        self.orphans.give_up(attempt.mark, attempt.listed_from)

    async def read_own_runs(self, since: datetime, record: RecordCosts) -> bool:
        """
        Reads the runs of the account since the batch began, when this process takes it over.

        Runs with a mark that no intent has are adoptable from then on.

        Args:
            record: receives what each run that has ended has cost, some runs at a time.

        Returns:
            whether the list can be read.

        Raises:
            TransientError, NotAuthorized: the platform is away, or refuses the token.
        """
        costs = ListedCosts(record)

        async def note(item: models.Run) -> None:
            # Who follows a live run may record the whole cost before this.
            if item.id in self._claimed and item.status in TERMINAL_RUN_STATUSES:
                await costs.add(item)

        async with self._lock:
            is_readable = await self._read_list(since, None, visit=note) is not None
        await costs.hand_over()
        return is_readable

    async def search_for_orphans(self) -> None:
        """
        Searches once more for runs whose starts were given up; sends nothing when none was.

        Raises:
            PlatformError: the lists cannot be read.
        """
        async with self._lock:
            if self.orphans.since is not None:
                reads = self.orphans.has_given_up
                await self._read_list(self.orphans.since, None, reads_one_by_one=reads)

    async def watch_for_copies(self) -> None:
        """
        Searches for runs of this batch that another process starts, until cancelled.

        Returns at once when this process created the batch: then nobody has a copy of it.

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
                    await self._read_list(since, None, reads_one_by_one=False)

    @property
    def claimed(self) -> Container[RunId]:
        """The runs of this batch that belong to an attempt."""
        return self._claimed

    def claim(self, run_id: RunId, target: Target) -> None:
        """Notes that a run belongs to an attempt, so that no other attempt finds it."""
        self._claimed.add(run_id, target)
        self._unmarked.pop(run_id, None)

    async def find_by_input(self, attempt: Attempt, body: bytes | None) -> Run | None:
        """
        A run of this attempt's target, with its input and options, that began after its intent.

        Only runs count that earlier passes have read, whose user agent the platform hides, and that
        belong to no attempt of this batch or of another one in this output folder.

        Args:
            body: what was sent.
        """
        for run_id, run in list(self._unmarked.items()):
            facts = run.facts()
            fits = (
                facts.started_at >= attempt.listed_from
                and fits_options(run, attempt.options)
                and await self._is_of(run, attempt.job.target)
                and await self._has_input(run, body)
                and not await self._is_of_another(run_id)
            )
            # Another attempt may have taken it during the awaits.
            if fits and self._unmarked.pop(run_id, None) is not None:
                return facts
        return None

    async def _is_of(self, run: models.Run, target: Target) -> bool:
        """Whether a run may be of an Actor or task: it is one if one of both is not known."""
        of = run.act_id if target.kind is TargetKind.ACTOR else run.actor_task_id
        wanted = await self._id_of(target)
        return of is None or wanted is None or of == wanted

    async def _id_of(self, target: Target) -> str | None:
        if target not in self._target_ids:
            try:
                self._target_ids[target] = (await self._client.actors.get_target(target)).id
            except PermanentError:
                self._target_ids[target] = None
        return self._target_ids[target]

    async def _has_input(self, run: models.Run, body: bytes | None) -> bool:
        """
        Whether a run has the input that was sent.

        Raises:
            TransientError: its input cannot be read to the end: the run may be the one.
        """
        if body is None:
            return True
        for pause_secs in INPUT_PAUSES_SECS:
            try:
                return await self._holds(run, body)
            except PlatformError as error:
                # One odd answer would exclude this run, and a second one would be started.
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
        async with self._client.storages.stream_record(run.facts().store_id, "INPUT") as download:
            return contains(await download.read(MAX_INPUT_BYTES * 2), body)

    async def _search_for_asked(self) -> None:
        """Reads the account's list, then the lists of Actors whose runs it does not prove."""
        since = min(attempt.listed_from for attempt in self._asked.values())
        targets = {attempt.job.target for attempt in self._asked.values()}
        self._proven = set(await self._read_list(since, None) or ())
        for target in targets - self._proven:
            self._proven.update(await self._read_list(since, target) or ())

    async def _read_list(
        self,
        since: datetime,
        target: Target | None,
        *,
        reads_one_by_one: bool = True,
        visit: Callable[[models.Run], Awaitable[None]] | None = None,
    ) -> set[Target] | None:
        """
        Reads a list of runs that began after an instant of the platform's clock.

        Args:
            visit: called with each run.

        Returns:
            the Actors and tasks of which the list shows all runs: the target of the list; for the
            account's list, those of which it shows a run that this batch knows. None when it
            cannot be read.
        """
        self.has_unread = self._has_skipped = False
        listing = RunListing(self._client, since, target=target)
        shown = set() if target is None else {target}
        try:
            async for page in listing:
                for item in page:
                    if visit is not None:
                        await visit(item)
                    claimed_for = self._claimed.target_of(item.id)
                    if claimed_for is None:
                        await self._note(item, reads_one_by_one=reads_one_by_one)
                    elif claimed_for not in shown:
                        began = item.started_at
                        if began is not None and began >= since:
                            shown.add(claimed_for)
        except PermanentError as error:
            if isinstance(error, NotAuthorized) and error.status == 401:
                raise
            # A token may read the runs of one Actor and not those of the account, or neither.
            return None
        await self.orphans.end_noted()
        has_all = listing.is_whole and not (self.has_unread or self._has_skipped)
        return shown if has_all else set()

    async def _note(self, item: models.Run, *, reads_one_by_one: bool) -> None:
        agent = item.user_agent
        if agent is None:
            agent = await self._agent_of(item) if reads_one_by_one else ""
        found = MARK.search(agent)
        if not found:
            return
        # Only now: an account may have thousands of runs of other programs.
        mark, facts = Mark(found[1]), item.facts()
        if mark in self._asked:
            self._found[mark] = facts
        else:
            self.orphans.note(mark, facts)

    async def _agent_of(self, item: models.Run) -> str:
        """
        The user agent of a run whose list hides it; one request for each new run.

        Reads only runs of the batch's own Actors, and not too many: an account may have a million.
        """
        run_id = RunId(item.id)
        if run_id not in self._agents:
            if not await self._may_be_ours(item):
                return ""
            if len(self._agents) >= self._most_reads:
                self._agents_hidden(self._most_reads)
                self._has_skipped = True
                return ""
            try:
                run = await self._client.runs.get(run_id, insist=True)
            except PlatformError as error:
                if not error.costs_its_job:
                    raise
                # It is listed but cannot be read: it may be the one that is searched.
                self.has_unread = True
                return ""
            agent = self._agents[run_id] = run.user_agent or ""
            if not agent and run_id not in self._claimed:
                self._unmarked[run_id] = run
        return self._agents[run_id]

    async def _may_be_ours(self, item: models.Run) -> bool:
        """Whether a run may have an Actor or task that this process has sent a start to."""
        targets = self._targets | {attempt.job.target for attempt in self._asked.values()}
        try:
            return not targets or any([await self._is_of(item, target) for target in targets])
        except TransientError:
            return True


def fits_options(run: models.Run, options: RunOptions) -> bool:
    """Whether a run has the options that the start gave; others do not count."""
    has = run.options
    if has is None:
        return True
    asked = (
        (options.memory_mbytes, has.memory_mbytes),
        (options.timeout_secs, has.timeout_secs),
        (options.max_items, has.max_items),
    )
    return all(wanted is None or wanted == held for wanted, held in asked)
