"""What a batch of a spec will do, take and cost; starts nothing."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from pathlib import Path
from statistics import median

from orchestrator.app.account.account_limits import DEFAULT_MEMORY_MBYTES, Room
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.series import batches_of
from orchestrator.errors import UsageError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.records import Taking
from orchestrator.model.batches import BatchPlan, Series
from orchestrator.model.item_sweeps import Expansion, ItemSweep
from orchestrator.model.jobs import Demand, Job, Target, demand_of
from orchestrator.model.rules import Action

SHOWN = 3
BATCHES_READ = 5
REQUESTS_A_RUN = 3
"""A start, a poll and the items; further polls come once a minute."""

LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Expected values: `low` and `high` are the outer tenths, `likely` is the median."""

    low: float
    likely: float
    high: float


@dataclass(slots=True)
class Taken:
    """
    What similar jobs took.

    Attributes:
        secs: of runs that succeeded.
        costs: in US dollars, each of all runs of a job.
    """

    secs: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)


@dataclass(slots=True)
class History:
    """
    What the jobs of earlier batches took.

    Attributes:
        secs, costs: of the last batch in which each job has them, by its key in lower case.
        by_target: the jobs of each Actor or task that the spec lists.
        by_sweep: the jobs that each sweep made of items, by its name.
        made: how many these were in each batch.
    """

    made: dict[str, list[int]] = field(default_factory=dict)
    secs: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    by_target: dict[Target, Taken] = field(default_factory=dict)
    by_sweep: dict[str, Taken] = field(default_factory=dict)

    def add(self, taking: Taking, sweep: str | None) -> None:
        """Adds a job of the next older batch; `sweep` has made it of items."""
        key, cost = taking.key.lower(), taking.cost_usd
        if sweep is None:
            taken = self.by_target.setdefault(taking.demand.target, Taken())
        else:
            taken = self.by_sweep.setdefault(sweep, Taken())
        if taking.secs is not None:
            taken.secs.append(taking.secs)
            self.secs.setdefault(key, taking.secs)
        if cost is not None:
            taken.costs.append(cost)
            self.costs.setdefault(key, cost)


@dataclass(slots=True)
class Group:
    """Jobs with the same demand on the limits."""

    jobs: int = 0
    secs: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    cost: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    longest: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """
    Jobs that will be made of the items of other jobs.

    Attributes:
        usual: the median of their number in the last batches; None if there is no such batch.
    """

    sweep: ItemSweep
    usual: int | None

    def __str__(self) -> str:
        """How many jobs there will be, for people."""
        known = "no earlier batch shows how many"
        if self.usual is not None:
            known = f"median of earlier batches: {self.usual:,}"
        return f"{self.sweep.name}: as many as {' and '.join(self.sweep.needs)} makes ({known})"


@dataclass(slots=True)
class Forecast:
    """
    What a batch will take.

    Attributes:
        jobs: their number.
        reused: how many of them take results of earlier batches, and need no run.
        runs_most: the number of runs if every job is retried as often as allowed.
        untimed: how many jobs of each target have no earlier run with a duration.
        unpriced: how many have no earlier run with a cost.
        groups: by demand.
        first, last: jobs in full.
        later: jobs of items, which are in the groups with their usual number.
    """

    jobs: int = 0
    reused: int = 0
    runs_most: int = 0
    untimed: Counter[Target] = field(default_factory=Counter)
    unpriced: Counter[Target] = field(default_factory=Counter)
    groups: dict[Demand, Group] = field(default_factory=dict)
    first: list[Job] = field(default_factory=list)
    last: deque[Job] = field(default_factory=lambda: deque(maxlen=SHOWN))
    later: list[Later] = field(default_factory=list)

    @property
    def usual_later(self) -> int:
        """How many jobs of items there usually are."""
        return sum(one.usual or 0 for one in self.later)


def own_history(home: Path, series: Series) -> History:
    """What the jobs of the last batches of a series took."""
    history = History()
    for found in islice(batches_of(home, series), BATCHES_READ):
        try:
            with LedgerReader(found.folder / LEDGER) as reader:
                expansions = reader.expansions() if reader.batch().plan.sweeps else []
                with_jobs = [one for one in expansions if one.jobs]
                for taking in reader.takings():
                    history.add(taking, _maker_of(taking.seq, with_jobs))
        except UsageError:
            continue
        made: Counter[str] = Counter()
        for one in expansions:
            made[one.sweep] += one.jobs
        for name, jobs in made.items():
            history.made.setdefault(name, []).append(jobs)
    return history


def _maker_of(seq: int, expansions: Sequence[Expansion]) -> str | None:
    """The sweep that has made a job of items; None for a job that the spec lists."""
    place = bisect_right(expansions, seq, key=attrgetter("first_seq"))
    one = expansions[place - 1] if place else None
    return one.sweep if one is not None and seq < one.first_seq + one.jobs else None


def forecast(
    jobs: Iterable[Job],
    history: History,
    sweeps: Iterable[ItemSweep] = (),
    is_reused: Callable[[Job], bool] = lambda _: False,
) -> Forecast:
    """
    Adds up what jobs will take; keeps little of each.

    Args:
        sweeps: those whose rows are the items of other jobs.
        is_reused: whether a job takes the results of an earlier batch.
    """
    made = Forecast()
    usual = {target: _quantiles(taken) for target, taken in history.by_target.items()}
    for job in jobs:
        made.jobs += 1
        if len(made.first) < SHOWN:
            made.first.append(job)
        else:
            made.last.append(job)
        if is_reused(job):
            made.reused += 1
            continue
        made.runs_most += _most_attempts(job)
        group = made.groups.setdefault(demand_of(job), Group())
        group.jobs += 1
        secs, cost = usual.get(job.target, (None, None))
        key = job.key.lower()
        own = history.secs.get(key)
        _add(group.secs, secs, own)
        _add(group.cost, cost, history.costs.get(key))
        made.untimed[job.target] += secs is None
        made.unpriced[job.target] += cost is None
        group.longest = max(group.longest, own or (secs[1] if secs else 0.0))
    for sweep in sweeps:
        before = history.made.get(sweep.name)
        later = Later(sweep=sweep, usual=None if before is None else int(median(before)))
        made.later.append(later)
        own_kind = history.by_sweep.get(sweep.name)
        of_target = usual.get(sweep.demand.target, (None, None))
        _add_later(made, later, *(of_target if own_kind is None else _quantiles(own_kind)))
    return made


def _add_later(
    made: Forecast,
    later: Later,
    secs: tuple[float, ...] | None,
    cost: tuple[float, ...] | None,
) -> None:
    """Adds what the usual number of jobs of a sweep takes."""
    demand, jobs = later.sweep.demand, later.usual or 0
    group = made.groups.setdefault(demand, Group())
    group.jobs += jobs
    for sums, each in ((group.secs, secs), (group.cost, cost)):
        for place, value in enumerate(each or ()):
            sums[place] += value * jobs
    group.longest = max(group.longest, secs[1] if secs and jobs else 0.0)
    # At least one: how many there will be is not known either.
    unknown = 1 if later.usual is None else jobs
    made.untimed[demand.target] += unknown if secs is None or later.usual is None else 0
    made.unpriced[demand.target] += unknown if cost is None or later.usual is None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """
    A forecast within limits; a range is None if some job has no earlier run.

    Attributes:
        memory_gbyte_hours: gigabytes of memory times hours.
        binds: the limit that decides how long the batch takes, in words.
    """

    duration_secs: Range | None
    memory_gbyte_hours: Range | None
    cost_usd: Range | None
    binds: str | None


def estimate(made: Forecast, plan: BatchPlan, room: Room | None) -> Estimate:
    """The duration and the cost of a batch within its limits, and the account's if known."""
    max_runs = _tighter(plan.max_runs, None if room is None else room.max_runs)
    max_memory = _tighter(plan.max_memory_mbytes, None if room is None else room.max_memory_mbytes)
    is_timed = made.jobs > 0 and not +made.untimed
    hours, durations, binds = [], [], None
    for place in range(3):
        secs = sum(group.secs[place] for group in made.groups.values())
        mbyte_secs = sum(
            group.secs[place] * _memory(demand, room) for demand, group in made.groups.items()
        )
        hours.append(mbyte_secs / 1024 / 3600)
        bounds = {
            "the longest job": max(group.longest for group in made.groups.values())
            if made.groups
            else 0.0
        }
        if max_runs is not None:
            bounds[f"max_runs = {max_runs}"] = secs / max_runs
        if max_memory is not None:
            bounds[f"max_memory_mbytes = {max_memory}"] = mbyte_secs / max_memory
        bounds |= _pool_bounds(made, plan, place)
        longest = max(bounds, key=lambda name: bounds[name])
        durations.append(bounds[longest])
        binds = longest if place == 1 else binds
    costs = [sum(group.cost[place] for group in made.groups.values()) for place in range(3)]
    return Estimate(
        duration_secs=_range(durations) if is_timed and max_runs is not None else None,
        memory_gbyte_hours=_range(hours) if is_timed else None,
        cost_usd=_range(costs) if made.jobs and not +made.unpriced else None,
        binds=binds if is_timed and max_runs is not None else None,
    )


def _pool_bounds(made: Forecast, plan: BatchPlan, place: int) -> Mapping[str, float]:
    """How long each pool needs at least for its jobs."""
    bounds = {}
    for name, pool in plan.pools.items():
        groups = [group for demand, group in made.groups.items() if name in demand.pools]
        if pool.max_runs:
            secs = sum(group.secs[place] for group in groups)
            bounds[f"pool {name}, max_runs = {pool.max_runs}"] = secs / pool.max_runs
        if pool.starts_per_minute:
            minutes = sum(group.jobs for group in groups) / pool.starts_per_minute
            shown = f"pool {name}, starts_per_minute = {pool.starts_per_minute}"
            bounds[shown] = max(0.0, minutes - 1) * 60
    return bounds


def _memory(demand: Demand, room: Room | None) -> int:
    if room is not None:
        return room.claim_of(demand).memory_mbytes
    return demand.memory_mbytes or DEFAULT_MEMORY_MBYTES


def _tighter(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _range(values: list[float]) -> Range:
    low, likely, high = values
    return Range(low=low, likely=likely, high=high)


def _add(sums: list[float], usual: tuple[float, ...] | None, own: float | None) -> None:
    """Adds what one job takes: like its own last run, with the spread of its target's runs."""
    if usual is None:
        return
    if own is not None and not usual[1]:
        # Most runs took nothing, which has no spread that could be scaled.
        usual, own = (own, own, own), None
    factor = 1.0 if own is None else own / usual[1]
    for place in range(3):
        sums[place] += usual[place] * factor


def _quantiles(
    taken: Taken,
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    return _three(sorted(taken.secs)), _three(sorted(taken.costs))


def _three(values: list[float]) -> tuple[float, ...] | None:
    if not values:
        return None
    last = len(values) - 1
    return (
        values[math.floor(last * LOW)],
        values[len(values) // 2],
        values[math.ceil(last * HIGH)],
    )


def _most_attempts(job: Job) -> int:
    again = [
        rule.max for rule in job.rules if rule.max and rule.do in {Action.RESTART, Action.RESURRECT}
    ]
    return max([job.retries + 1, *again])
