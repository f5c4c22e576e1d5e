"""The parts of a scheduler, as one value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from orchestrator.apify import ApifyClient
from orchestrator.errors import StoppedEarly
from orchestrator.ledger import Ledger
from orchestrator.model.attempts import Collected
from orchestrator.model.item_sweeps import Expansion
from orchestrator.model.jobs import Demand, Job
from orchestrator.model.rules import Remedy
from orchestrator.model.runs import Run
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.decide.limits import Claim
from orchestrator.scheduler.follow import Follower
from orchestrator.scheduler.intents import Intends
from orchestrator.scheduler.observer import Observer
from orchestrator.scheduler.run_search import RunFinder
from orchestrator.scheduler.start import Starter
from orchestrator.scheduler.timings import TIMINGS, Timings


class Accepts(Protocol):
    """Judges what a run made; see `collector.acceptance.Acceptance`."""

    async def complaint(self, job: Job, run: Run, collected: Collected) -> str | None:
        """What is not as the job expects; None when all is."""


class Collects(Protocol):
    """Downloads what a run made; see `collector.Collector`."""

    async def collect(
        self, job: Job, run: Run, run_json: bytes | None, *, number: int, is_new: bool
    ) -> Collected:
        """Downloads all of it, or raises."""
        ...


class TakesJobs(Protocol):
    """Takes jobs that were made of items: the scheduler."""

    def note_expansion(self, expansion: Expansion, reused: Iterable[int] = ()) -> None:
        """
        Notes that jobs were made, before each of them is added.

        Args:
            reused: places of those that have taken earlier results, perhaps after another
                call for this expansion.
        """

    def add_new(self, queued: QueuedJob) -> None:
        """Queues a new job."""


class Expands(Protocol):
    """Makes jobs of the items of other jobs; see `app.batch.item_expander`."""

    @property
    def open(self) -> Mapping[int, str]:
        """Place and key of the jobs whose items are still to become jobs, by any process."""
        ...

    @property
    def known(self) -> int:
        """How many expansions are known, of any process."""
        ...

    def learn(self, expansions: Iterable[Expansion]) -> list[Expansion]:
        """Notes expansions that are recorded; returns those that are new."""
        ...

    @property
    def refused(self) -> StoppedEarly | None:
        """Why items of some job could not become jobs of the batch."""
        ...

    def pending(self) -> Sequence[tuple[int, str]]:
        """Place and key of the jobs that have succeeded before, and whose items are still rows."""
        ...

    def needs(self, seq: int, key: str) -> bool:
        """Whether jobs are to be made of the items of a job that has succeeded now."""
        ...

    def made(self, expansion: Expansion) -> Iterable[tuple[int, str, JobStatus]]:
        """Place, key and status of the jobs that were made, read when they are asked for."""
        ...

    async def expand(self, seq: int, key: str, into: TakesJobs) -> None:
        """Makes the jobs, and gives them to `into`."""


class NoExpander:
    """For batches without such jobs."""

    refused: StoppedEarly | None = None
    open: Mapping[int, str] = MappingProxyType({})
    known = 0

    def learn(self, expansions: Iterable[Expansion]) -> list[Expansion]:  # noqa: ARG002
        """None are new."""
        return []

    def pending(self) -> Sequence[tuple[int, str]]:
        """None."""
        return ()

    def needs(self, seq: int, key: str) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def made(self, expansion: Expansion) -> Iterable[tuple[int, str, JobStatus]]:  # noqa: ARG002
        """None."""
        return ()

    async def expand(self, seq: int, key: str, into: TakesJobs) -> None:
        """Makes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """
    What the scheduler of a batch and the lives of its attempts use.

    Attributes:
        claim_of: the claim of an attempt, by the demand of its job and its remedy.
        utc_now: the wall clock.
        chance: random numbers from 0 to 1.
        away_secs: how long to wait for a platform that takes no start.
        counts_settle_secs: how long after the end of a run its items may not be counted yet.
        most_memory_mbytes: the most that one run may have within the limits of the batch.
        max_downloads: how many runs are collected at once.
    """

    ledger: Ledger
    intents: Intends
    client: ApifyClient
    observer: Observer
    starter: Starter
    follower: Follower
    finder: RunFinder
    collector: Collects
    acceptance: Accepts
    expander: Expands = field(default_factory=NoExpander)
    claim_of: Callable[[Demand, Remedy], Claim]
    utc_now: Callable[[], datetime]
    chance: Callable[[], float]
    away_secs: float
    counts_settle_secs: float = 0.0
    most_memory_mbytes: int | None = None
    max_downloads: int = 32
    timings: Timings = TIMINGS
