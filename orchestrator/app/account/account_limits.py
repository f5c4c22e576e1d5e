"""What the account allows, and what runs use of it if their jobs do not say it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_UP, Decimal

from orchestrator.app.setup.process_limits import capacity
from orchestrator.app.setup.settings import Settings
from orchestrator.errors import UsageError
from orchestrator.model.batches import Batch, BatchPlan
from orchestrator.model.ids import JobKey
from orchestrator.model.jobs import Demand, Target
from orchestrator.model.rules import NO_REMEDY, Remedy
from orchestrator.scheduler.decide.budget import NOTHING
from orchestrator.scheduler.decide.limits import Claim, Limits

DEFAULT_MAX_RUNS = 25
"""Used if the account's limit is not known: that of the smallest plan (Apify docs, "Limits")."""

DEFAULT_MEMORY_MBYTES = 1024
CENTIMILL = Decimal("0.00001")
HISTORY_MARGIN = Decimal("1.5")
"""The factor between the dearest of the last runs and the cap that we choose."""

NO_CAP = (
    "max_cost_usd needs the most that a run may cost: set max_total_charge_usd, because no earlier "
    "run of {target} shows its cost"
)
NO_TIMEOUT = (
    "max_cost_usd needs the most that a run may cost: set max_total_charge_usd or timeout_secs, "
    "because runs of {target} have no timeout"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDefaults:
    """
    The options of a run of a target that its start does not set; None if they are not known.

    Attributes:
        timeout_secs: 0 means none.
        cap_usd: of a task, the most that its runs may cost.
        floor_usd: the lowest cap that the Actor accepts.
    """

    memory_mbytes: int | None = None
    timeout_secs: int | None = None
    cap_usd: Decimal | None = None
    floor_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """
    What runs cost this account; read only if there is a budget.

    Attributes:
        compute_unit_usd: for a gigabyte of memory and an hour.
        dearest_usd: the cost of the dearest of the last runs, by target.
    """

    compute_unit_usd: Decimal
    dearest_usd: Mapping[Target, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """
    What the account allows, and what runs use if their jobs do not say it.

    Attributes:
        refused: the targets whose runs cannot be started, with the platform's words.
        prices: None without a budget.
        keeps_days: how long the results of runs are kept; None if it is not known.
        clock: a time of the platform's clock, and the time of the loop's clock at that instant.
        account: the user id; None if it is not known.
    """

    max_runs: int
    max_memory_mbytes: int | None
    defaults: Mapping[Target, RunDefaults] = field(default_factory=dict)
    refused: Mapping[Target, str] = field(default_factory=dict)
    prices: Prices | None = None
    keeps_days: int | None = None
    clock: tuple[datetime, float] | None = None
    account: str | None = None

    def claim_of(self, demand: Demand, remedy: Remedy = NO_REMEDY) -> Claim:
        """What a run of a job with this demand reserves."""
        return Claim(
            memory_mbytes=self._memory(demand, remedy),
            pools=demand.pools,
            target=demand.target,
            reserve_usd=self._reserve(demand, remedy),
            caps_itself=self.prices is None or self._cap(demand) is not None,
        )

    def floor_of(self, demand: Demand) -> Decimal | None:
        """The lowest cap that the Actor of a demand accepts; None if it has none."""
        return self._of(demand).floor_usd

    def unpriced(self, demand: Demand) -> str | None:
        """Why the most that a run may cost is not known; None if it is known or not needed."""
        if self.prices is None or self._cap(demand) is not None:
            return None
        if demand.target not in self.prices.dearest_usd:
            return NO_CAP.format(target=demand.target)
        return None if self._timeout(demand, NO_REMEDY) else NO_TIMEOUT.format(target=demand.target)

    def _reserve(self, demand: Demand, remedy: Remedy) -> Decimal:
        """
        The run's own cap, or else one that we choose.

        Ours is memory times timeout, or 1.5 times the cost of the dearest of the last runs; and
        never lower than the Actor accepts.
        """
        if self.prices is None:
            return NOTHING
        cap = self._cap(demand)
        if cap is not None:
            return cap
        most = max(self._cap_bases(self.prices, demand, remedy))
        return most.quantize(CENTIMILL, rounding=ROUND_UP)

    def _cap_bases(
        self, prices: Prices, demand: Demand, remedy: Remedy
    ) -> tuple[Decimal, Decimal, Decimal]:
        """What the cap that we choose is the largest of, in the order of `why_cap`."""
        memory, timeout = self._memory(demand, remedy), self._timeout(demand, remedy)
        return (
            Decimal(memory) / 1024 * timeout / 3600 * prices.compute_unit_usd,
            prices.dearest_usd.get(demand.target, NOTHING) * HISTORY_MARGIN,
            self._of(demand).floor_usd or NOTHING,
        )

    def why_cap(self, demand: Demand) -> str:
        """Why the cap that we choose for a run is as high as it is; empty if we choose none."""
        if self.prices is None or self._cap(demand) is not None:
            return ""
        bases = self._cap_bases(self.prices, demand, NO_REMEDY)
        memory, timeout = self._memory(demand, NO_REMEDY), self._timeout(demand, NO_REMEDY)
        reasons = (
            f"{memory:,} MB for {timeout:,} s cost so much",
            f"it is {HISTORY_MARGIN} times the cost of the dearest of the last runs",
            "the Actor accepts no lower one",
        )
        return reasons[bases.index(max(bases))]

    def _cap(self, demand: Demand) -> Decimal | None:
        return demand.cap_usd or self._of(demand).cap_usd

    def _memory(self, demand: Demand, remedy: Remedy) -> int:
        return (
            remedy.memory_mbytes
            or demand.memory_mbytes
            or self._of(demand).memory_mbytes
            or DEFAULT_MEMORY_MBYTES
        )

    def _timeout(self, demand: Demand, remedy: Remedy) -> int:
        if remedy.timeout_secs is not None:
            return remedy.timeout_secs
        if demand.timeout_secs is not None:
            return demand.timeout_secs
        return self._of(demand).timeout_secs or 0

    def _of(self, demand: Demand) -> RunDefaults:
        return self.defaults.get(demand.target, UNKNOWN)


UNKNOWN = RunDefaults()
ANY_ROOM = Room(max_runs=DEFAULT_MAX_RUNS, max_memory_mbytes=None)
"""For a process that starts nothing, or that gets no limits from the platform."""


def downloads_at_once(settings: Settings, batch: Batch) -> int:
    """How many results are downloaded at once, if this process may open enough files."""
    is_local = batch.plan.local is not None
    return capacity(settings.max_downloads, is_local=is_local).max_downloads


def wanted_runs(plan: BatchPlan, room: Room, settings: Settings) -> int:
    """How many runs at once are wanted, within what the account allows."""
    asked = settings.max_runs or plan.max_runs or settings.max_runs_below_spec
    return min(asked or room.max_runs, room.max_runs)


def limits_of(
    plan: BatchPlan, room: Room, demands: Mapping[Demand, JobKey], settings: Settings
) -> Limits:
    """
    The limits of a batch: the tightest of its own, the account's, and that of open files.

    Args:
        demands: of waiting jobs, each with the key of one job that has it.

    Raises:
        UsageError: some job can never be started within them.
    """
    asked_memory = plan.max_memory_mbytes
    open_files = capacity(settings.max_downloads, is_local=plan.local is not None)
    limits = Limits(
        max_runs=min(wanted_runs(plan, room, settings), open_files.max_runs),
        max_memory_mbytes=(min(filter(None, (asked_memory, room.max_memory_mbytes)), default=None)),
        pools=plan.pools,
        max_cost_usd=plan.max_cost_usd,
    )
    refusals = [
        f"{key}: {refusal}"
        for demand, key in demands.items()
        if demand.target not in room.refused
        and (refusal := room.unpriced(demand) or limits.refusal(room.claim_of(demand)))
    ]
    if refusals:
        raise UsageError("these jobs can never be started:\n  " + "\n  ".join(sorted(refusals)))
    return limits
