from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any, Self

import pytest

from tests.unit.jobs.actor_modules import actor_module

DISTRIBUTION = "pluggy"
CHUNK = 3


class Killed(BaseException):
    """The process was killed; no code in it may catch this."""


class StandIn:
    """
    The SDK's `Actor` with storages that survive it; it is killed before or after its n-th write.

    Attributes:
        kill_at: the steps at which it dies, counted from 0; each write has one before and one
            after.
    """

    def __init__(self, given: Any, kill_at: set[int] | None = None) -> None:
        self.records: dict[str, Any] = {"INPUT": given}
        self.items: list[dict[str, Any]] = []
        self.failed: str | None = None
        self._kill_at = kill_at or set()
        self._steps = itertools.count()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def get_input(self) -> Any:
        return self.records["INPUT"]

    async def get_value(self, key: str) -> Any:
        return self.records.get(key)

    async def set_value(self, key: str, value: Any) -> None:
        self._step()
        self.records[key] = value
        self._step()

    async def push_data(self, items: list[dict[str, Any]]) -> None:
        self._step()
        self.items += items
        self._step()

    async def set_status_message(self, message: str, *, is_terminal: bool = False) -> None:
        pass

    async def fail(self, *, status_message: str) -> None:
        self.failed = status_message

    async def open_dataset(self) -> Self:
        return self

    async def get_data(self, *, offset: int) -> Any:
        page = ModuleType("page")
        page.items = self.items[offset:]  # type: ignore[attr-defined]  # stands in for a page
        return page

    def _step(self) -> None:
        if next(self._steps) in self._kill_at:
            raise Killed


async def run_to_its_end(actor: StandIn) -> int:
    """Starts the Actor's process until it ends by itself; returns the number of starts."""
    sdk = ModuleType("apify")
    sdk.Actor = actor  # type: ignore[attr-defined]  # stands in for the SDK
    with actor_module("package-facts", "main", {"apify": sdk}) as module:
        # A small distribution with many pushes and without parsing, which these tests do not need.
        vars(module).update(CHUNK=CHUNK, module_facts=lambda _, path: {"path": path, "lines": 1})
        for starts in itertools.count(1):
            try:
                await module.main()
            except Killed:
                continue
            return starts
    raise AssertionError("the count of starts has no end")


async def untouched() -> StandIn:
    actor = StandIn({"distribution": DISTRIBUTION})
    await run_to_its_end(actor)
    return actor


async def test_a_run_pushes_an_item_per_module() -> None:
    """Without kills, the Actor ends at the first start, with all items and its output."""
    actor = StandIn({"distribution": DISTRIBUTION})
    assert await run_to_its_end(actor) == 1
    assert actor.records["OUTPUT"]["modules"] == len(actor.items) > CHUNK
    assert len({item["path"] for item in actor.items}) == len(actor.items)


@pytest.mark.parametrize("first", range(12))
async def test_no_kill_doubles_or_loses_an_item(first: int) -> None:
    """After kills at any two writes, the run's results are the same as without kills."""
    whole = await untouched()
    for second in range(first + 1, 14):
        actor = StandIn({"distribution": DISTRIBUTION}, kill_at={first, second})
        assert await run_to_its_end(actor) > 1
        assert actor.items == whole.items
        assert actor.records["OUTPUT"] == whole.records["OUTPUT"]


async def test_unknown_distribution_fails_the_run() -> None:
    """The run fails with a message that lists what exists, and pushes nothing."""
    actor = StandIn({"distribution": "nope"})
    await run_to_its_end(actor)
    assert actor.failed is not None
    assert actor.failed.startswith("no distribution 'nope' is installed here")
    assert (actor.items, "OUTPUT" in actor.records) == ([], False)
