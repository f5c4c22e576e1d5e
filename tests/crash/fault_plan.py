"""Which faults meet the processes of a shared batch, and when: drawn from one seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

COST_USD = "0.01"
ITEMS = 3
SMALL_MBYTES, LARGE_MBYTES = 256, 1024
HOURS_SECS = 3600.0
FIRST, LAST = 0.03, 0.8
"""The share of the runs after which the first fault comes, and the last one."""


class Kind(StrEnum):
    """A fault of a process, its network, its clock or its server."""

    KILL = "killed"
    STOP = "stopped past its lease"
    NAP = "stopped within its lease"
    CUT = "network cut"
    STALL = "network stalled past the lease, then cut"
    RESTART = "server crashed or restarted"
    JUMP = "clock set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """
    How large a batch with faults is.

    Attributes:
        times: how often each kind of fault comes.
        start_deadline_secs, settle_secs: the settings of those names.
    """

    machines: int
    jobs: int
    times: Mapping[Kind, int]
    max_runs: int
    starts_per_minute: int
    duration_secs: float
    start_deadline_secs: float
    settle_secs: float

    @property
    def failing(self) -> int:
        """How many jobs fail once."""
        return self.jobs // 10

    @property
    def large(self) -> int:
        """How many jobs need four times the memory."""
        return self.jobs // 10

    @property
    def shop(self) -> int:
        """How many jobs are in the pool."""
        return self.jobs // 20

    @property
    def plain(self) -> int:
        """How many jobs are neither."""
        return self.jobs - self.failing - self.large - self.shop

    @property
    def runs(self) -> int:
        """How many runs the batch needs."""
        return self.jobs + self.failing

    @property
    def max_memory_mbytes(self) -> int:
        """The limit of memory, which large jobs reach before the limit of runs."""
        return self.max_runs * SMALL_MBYTES

    @property
    def lease_secs(self) -> float:
        """How long the lease of a process lasts, as docs/shards.md says."""
        return 1.5 * (2 * self.start_deadline_secs + self.settle_secs + 1)

    def memory_mbytes(self, place: int) -> int:
        """The memory of the job at a place of the spec."""
        small = self.plain + self.failing
        return LARGE_MBYTES if small <= place < small + self.large else SMALL_MBYTES

    def is_in_shop(self, place: int) -> bool:
        """Whether the job at a place of the spec is in the pool."""
        return place >= self.jobs - self.shop


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    A fault of a machine.

    Attributes:
        after_runs: how many runs the platform has begun before.
        machine: where; the next machine that can have it, if this one cannot.
        secs: how long it lasts; for a clock, how far it is set.
    """

    kind: Kind
    after_runs: int
    machine: int
    secs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    All that goes wrong in one batch.

    Attributes:
        faults: in the order of their beginnings.
        clocks_secs: how far the clocks of some machines are ahead at first.
        networks: the machines whose connections to the server can be cut.
        platform: the faults of the platform, as `--faults` reads them.
    """

    seed: int
    size: Size
    faults: Sequence[Fault]
    clocks_secs: Mapping[int, float]
    networks: frozenset[int]
    platform: Mapping[str, Any]


def make_plan(seed: int, size: Size, *, sets_clocks: bool) -> Plan:
    """Draws a plan; without `sets_clocks`, all clocks are right."""
    chance = random.Random(f"faults {seed}")  # noqa: S311 - to be repeatable
    machines = range(size.machines)
    networks = frozenset(machines[: max(size.machines // 2, 1)])
    wrong = machines[-max(size.machines // 3, 1) :] if sets_clocks else ()
    signs = [chance.choice([-1, 1]) * (-1) ** place for place, _ in enumerate(wrong)]
    clocks = {
        one: sign * chance.uniform(1, 30) * HOURS_SECS
        for one, sign in zip(wrong, signs, strict=True)
    }
    kinds = [kind for kind, times in size.times.items() for _ in range(times)]
    if not sets_clocks:
        kinds = [kind for kind in kinds if kind is not Kind.JUMP]
    chance.shuffle(kinds)
    step = (LAST - FIRST) / max(len(kinds), 1)
    faults = [
        Fault(
            kind=kind,
            after_runs=int(size.runs * (FIRST + step * (place + chance.random()))),
            machine=chance.choice(_places(kind, machines, networks, clocks)),
            secs=_secs(kind, size, chance),
        )
        for place, kind in enumerate(kinds)
    ]
    return Plan(
        seed=seed,
        size=size,
        faults=faults,
        clocks_secs=clocks,
        networks=networks,
        platform=platform_faults(seed, size),
    )


def _places(
    kind: Kind, machines: range, networks: frozenset[int], clocks: Mapping[int, float]
) -> Sequence[int]:
    """The machines that can have a fault."""
    if kind in {Kind.CUT, Kind.STALL}:
        return sorted(networks)
    return sorted(clocks) if kind is Kind.JUMP else machines


def _secs(kind: Kind, size: Size, chance: random.Random) -> float:
    match kind:
        case Kind.STOP | Kind.STALL:
            return size.lease_secs * chance.uniform(1.2, 1.5)
        case Kind.NAP:
            return size.lease_secs * chance.uniform(0.1, 0.8)
        case Kind.JUMP:
            return chance.choice([-1, 1]) * chance.uniform(0.5, 48) * HOURS_SECS
        case Kind.CUT:
            return 0.0
        case Kind.KILL | Kind.RESTART:
            return chance.uniform(0, size.lease_secs / 3)


def platform_faults(seed: int, size: Size) -> dict[str, Any]:
    """Lost answers, late lists and costs, refusals, errors and bodies that end in the middle."""
    start: dict[str, Any] = {"method": "POST", "path": "/runs$"}
    full = {"do": "refuse", "status": 402, "type": "concurrent-runs-limit-exceeded"}
    return {
        "seed": seed,
        "list_lag_secs": size.settle_secs / 2,
        "usage_lag_secs": 0.3,
        "rules": [
            {**start, "do": "reset-after", "rate": 0.04},
            {**start, "do": "error-after", "rate": 0.02},
            {**start, "do": "reset-before", "rate": 0.02},
            {**start, **full, "rate": 0.02},
            {"path": "/items", "do": "truncated", "rate": 0.05},
            {"do": "rate-limited", "rate": 0.01},
            {"do": "error-before", "rate": 0.01},
        ],
    }


def spec_of(size: Size, name: str) -> str:
    """A batch whose budget is exactly what its runs cost."""
    budget = size.runs / 100
    given = f"duration_secs = {size.duration_secs}, items = {ITEMS}, cost_usd = {COST_USD}"
    fails = f'{given}, fail_attempts = 1, item = {{ n = "{{{{ n }}}}" }}'
    return f"""
[batch]
name = "{name}"
schedule = "0 0 * * *"
timezone = "UTC"
max_runs = {size.max_runs}
max_memory_mbytes = {size.max_memory_mbytes}
max_cost_usd = {budget}

[pools]
shop = {{ max_runs = 3, starts_per_minute = {size.starts_per_minute} }}

[results]

[notify]
ping_url = "{{{{ env.PING_URL }}}}"

[defaults]
actor = "orchestrator/simulated"
max_total_charge_usd = {COST_USD}
memory_mbytes = {SMALL_MBYTES}

[[jobs]]
name = "plain-{{{{ n }}}}"
input = {{ {given} }}
matrix = {{ n = {{ range = [1, {size.plain}] }} }}

[[jobs]]
name = "failing-{{{{ n }}}}"
input = {{ {fails} }}
matrix = {{ n = {{ range = [1, {size.failing}] }} }}
retries = 1

[[jobs]]
name = "large-{{{{ n }}}}"
input = {{ {given} }}
matrix = {{ n = {{ range = [1, {size.large}] }} }}
memory_mbytes = {LARGE_MBYTES}

[[jobs]]
name = "shop-{{{{ n }}}}"
input = {{ {given} }}
matrix = {{ n = {{ range = [1, {size.shop}] }} }}
pools = ["shop"]
"""
