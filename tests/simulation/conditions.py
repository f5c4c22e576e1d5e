"""The conditions of a simulated batch, drawn from its seed: clocks, lists, costs, backups."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from orchestrator.loop_clock import loop_time
from orchestrator.model.batches import PoolLimits

Row = TypeVar("Row")
EPOCH = datetime(2026, 11, 25, tzinfo=UTC)
STEPS_SECS = (20.0, 330.0, 3600.0, 86400.0)
COST_LAGS_SECS = (0.0, 8.0, 25.0, 90.0)
SHOP_RUNS = 2
CAP_USD = 1.0
ROOM_USD = 3.0
"""How much larger a budget is than the final cost of all runs."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """
    The conditions of one simulation.

    Attributes:
        clock_steps: when our wall clock is set, and by how much, in seconds.
        lists_agents: whether lists of runs show user agents.
        tells_agents: whether any answer shows them.
        account_list: what the account's list of runs shows: all, those of acts or of actor-tasks,
            none; or that it is refused.
        page_rows: how many rows a page of a list has at most.
        page_fault: whether the first row of a page comes twice, or pages begin two rows early.
        cost_lag_secs: how long after its end the cost of a run is known.
        has_budget: whether there is one; then each run has a cap of a dollar.
        restores: whether the ledger is restored from a backup once.
        shop_starts_per_minute: of the pool.
        has_rows: whether the items of some jobs become jobs.
    """

    clock_steps: tuple[tuple[float, float], ...] = ()
    lists_agents: bool = True
    tells_agents: bool = True
    account_list: str = "all"
    page_rows: int = 1000
    page_fault: str = ""
    cost_lag_secs: float = 0.0
    has_budget: bool = False
    restores: bool = False
    shop_starts_per_minute: int | None = None
    has_rows: bool = False

    @property
    def pools(self) -> dict[str, PoolLimits]:
        """The limits of the one pool."""
        limits = PoolLimits(max_runs=SHOP_RUNS, starts_per_minute=self.shop_starts_per_minute)
        return {"shop": limits}

    @property
    def has_tasks(self) -> bool:
        """Without user agents, two runs of a task without an input cannot be distinguished."""
        return self.tells_agents

    @property
    def has_resurrections(self) -> bool:
        """For a run that was resurrected after the backup, the platform counts one attempt more."""
        return not self.restores

    def wall_clock(self) -> datetime:
        """Our wall clock: it runs with the loop's own, and is set now and then."""
        now = loop_time()
        set_by = sum(secs for at, secs in self.clock_steps if at <= now)
        return EPOCH + timedelta(seconds=now + set_by)

    def page(self, rows: Sequence[Row], offset: int) -> list[Row]:
        """A page of a list, with its faults."""
        if self.page_fault == "overlaps":
            offset = max(0, offset - 2)
        page = list(rows[offset : offset + self.page_rows])
        return page[:1] + page[: self.page_rows - 1] if self.page_fault == "doubles" else page


PLAIN = Conditions()
HIDDEN = Conditions(lists_agents=False, tells_agents=False)


def conditions_of(seed: int) -> Conditions:
    """Draws the conditions of a simulation; about one in five has each of them."""
    drawn = _conditions_of(seed)
    # The places of jobs of items differ between copies of a ledger, whose runs are then aborted.
    has_rows = random.Random(f"rows {seed}").random() < 0.2  # noqa: S311 - to be repeatable
    return replace(drawn, has_rows=has_rows and not drawn.restores)


def _conditions_of(seed: int) -> Conditions:
    chance = random.Random(f"conditions {seed}")  # noqa: S311 - to be repeatable
    drawn = Conditions(
        clock_steps=tuple(_steps(chance)) if chance.random() < 0.4 else (),
        lists_agents=chance.random() < 0.8,
        page_rows=5 if chance.random() < 0.15 else 1000,
        page_fault=chance.choice(["", "", "doubles", "overlaps"]),
        cost_lag_secs=chance.choice(COST_LAGS_SECS),
        has_budget=chance.random() < 0.25,
        shop_starts_per_minute=2 if chance.random() < 0.2 else None,
    )
    match chance.choice(["", "", "hidden", "partial", "backup"]):
        case "hidden":
            return replace(drawn, lists_agents=False, tells_agents=False)
        case "partial":
            shown = chance.choice(["acts", "actor-tasks", "none", "refused"])
            return replace(drawn, account_list=shown)
        case "backup":
            return replace(drawn, restores=True)
        case _:
            return drawn


def _steps(chance: random.Random) -> list[tuple[float, float]]:
    return [
        (chance.uniform(0, 300), chance.choice(STEPS_SECS) * chance.choice([-1, 1]))
        for _ in range(chance.randrange(1, 5))
    ]
