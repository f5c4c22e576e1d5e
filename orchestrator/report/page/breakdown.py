"""Where time, money and items went: by Actor and by the value of each parameter. No I/O."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median

from orchestrator.model.money import money
from orchestrator.model.states import FAILED_JOB_STATUSES
from orchestrator.report.lines import clock
from orchestrator.report.page import svg
from orchestrator.report.page.job_rows import ShownJob

ACTOR = "Actor or task"
MOST_VALUES = 1000
"""Of one parameter; a parameter with more is left out, because its groups would be jobs."""
MOST_TABLES = 8
MOST_VALUES_SHOWN = 10
SOME_VALUES = 6
"""How many are shown of a parameter with more than those."""


@dataclass(slots=True)
class Group:
    """The jobs with one value."""

    jobs: int = 0
    failed: int = 0
    items: int = 0
    cost_usd: Decimal = Decimal(0)
    secs: array[float] = field(default_factory=lambda: array("d"))

    def add(self, job: ShownJob) -> None:
        """Adds a job."""
        self.jobs += 1
        self.failed += job.status in FAILED_JOB_STATUSES
        self.items += job.items or 0
        self.cost_usd += job.cost_usd or 0
        if job.secs is not None:
            self.secs.append(job.secs)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """A line of a table."""

    value: str
    jobs: str
    failed: int
    items: str
    usual: str
    slow: str
    cost: str
    bar: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """The groups of the Actors or of one parameter, the dearest first."""

    name: str
    rows: Sequence[GroupRow]
    left_out: int


class Breakdown:
    """Adds up the jobs of a batch by Actor and by parameter."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, Group]] = {ACTOR: {}}
        self._too_many: set[str] = set()

    def add(self, job: ShownJob) -> None:
        """Adds a job."""
        self._group(ACTOR, job.actor).add(job)
        for name, value in job.params.items():
            if name not in self._too_many:
                self._group(name, value).add(job)

    def _group(self, name: str, value: str) -> Group:
        groups = self._groups.get(name)
        if groups is None:
            groups = self._groups[name] = {}
        group = groups.get(value)
        if group is None:
            group = groups[value] = Group()
            if len(groups) > MOST_VALUES and name != ACTOR:
                self._too_many.add(name)
                del self._groups[name]
        return group

    def tables(self) -> list[GroupTable]:
        """The Actors first, then the parameters with a value that several jobs share."""
        telling = [
            (name, groups)
            for name, groups in self._groups.items()
            if name == ACTOR
            or (len(groups) > 1 and any(group.jobs > 1 for group in groups.values()))
        ]
        return [_table(name, groups) for name, groups in telling[:MOST_TABLES] if groups]


def _table(name: str, groups: Mapping[str, Group]) -> GroupTable:
    ordered = sorted(
        groups.items(), key=lambda entry: (-entry[1].cost_usd, -sum(entry[1].secs), entry[0])
    )
    shown = ordered[: None if len(ordered) <= MOST_VALUES_SHOWN else SOME_VALUES]
    dearest = max((group.cost_usd for _, group in shown), default=Decimal(0))
    return GroupTable(
        name=name,
        rows=[_row(value, group, dearest) for value, group in shown],
        left_out=len(ordered) - len(shown),
    )


def _row(value: str, group: Group, dearest: Decimal) -> GroupRow:
    secs = sorted(group.secs)
    return GroupRow(
        value=value,
        jobs=f"{group.jobs:,}",
        failed=group.failed,
        items=f"{group.items:,}",
        usual=clock(median(secs)) if secs else "",
        # The highest of few times, as nobody knows a percentile of three.
        slow=clock(secs[min(len(secs) - 1, int(0.95 * len(secs)))]) if secs else "",
        cost=money(group.cost_usd),
        bar=svg.share_bar(float(group.cost_usd / dearest)) if dearest else "",
    )
