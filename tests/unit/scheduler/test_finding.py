from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import anyio
import pytest

from orchestrator.client import ApifyClient, wire
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import RunOptions, Target, TargetKind
from orchestrator.scheduler.finding import RunFinder, contains
from orchestrator.scheduler.orphans import Orphans
from tests.support.builders import NOON
from tests.support.virtual_time import run_virtual

TARGET = Target(kind=TargetKind.ACTOR, id="me/actor")


def run_json(
    name: str, agent: str | None, memory: int = 1024, act_id: str = "act1"
) -> dict[str, Any]:
    return {
        "id": name,
        "actId": act_id,
        "status": "RUNNING",
        "startedAt": "2026-11-25T12:00:00.000Z",
        "meta": {"origin": "API", **({"userAgent": agent} if agent else {})},
        "defaultDatasetId": f"d-{name}",
        "defaultKeyValueStoreId": f"s-{name}",
        "options": {"memoryMbytes": memory, "timeoutSecs": 60, "build": "b", "diskMbytes": 1},
    }


@dataclass
class Body:
    data: bytes

    async def read(self, _limit: int) -> bytes:
        return self.data


@dataclass
class FakePlatform:
    """Runs, whether lists tell user agents, and the inputs; counts what is asked."""

    runs: list[dict[str, Any]]
    list_agents: bool = True
    inputs: dict[str, bytes] = field(default_factory=dict)
    lists: int = 0
    reads: int = 0
    ahead: timedelta = timedelta()
    clock: tuple[datetime, float] | None = None

    async def get_target(self, _target: Target) -> wire.Actor:
        return wire.Actor.model_validate({"id": "act1"})

    async def list_runs(self, *, started_after: datetime, **_given: object) -> wire.RunList:
        self.lists += 1
        await anyio.sleep(0.1)
        self.clock = (our_clock() + self.ahead, anyio.current_time())
        items = [
            dict(run)
            for run in self.runs
            if datetime.fromisoformat(run["startedAt"]) + self.ahead >= started_after
        ]
        if not self.list_agents:
            for item in items:
                item["meta"] = {"origin": "API"}
        return wire.RunList.model_validate({"total": len(items), "items": items})

    async def get_run(self, run_id: RunId) -> wire.Run:
        self.reads += 1
        return wire.Run(next(run for run in self.runs if run["id"] == run_id))

    @asynccontextmanager
    async def stream_record(self, store_id: str, _key: str) -> AsyncIterator[Body]:
        yield Body(self.inputs[store_id])


class NoOrphans:
    """Nothing was given up."""

    since = None

    def is_new(self, _mark: Mark, _run_id: RunId) -> bool:
        return False


def our_clock() -> datetime:
    return NOON + timedelta(seconds=anyio.current_time())


def finder_of(platform: FakePlatform, *claimed: str) -> RunFinder:
    return RunFinder(
        cast("ApifyClient", platform),
        cast("Orphans", NoOrphans()),
        [RunId(name) for name in claimed],
        utc_now=our_clock,
    )


AGENT = "orchestrator/0.1.0 (attempt m.0.1.1)"


@pytest.mark.parametrize("list_agents", [True, False])
def test_run_is_found_by_its_mark(list_agents: bool) -> None:
    """The mark is read in the list, or in the run itself where the list leaves it out."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("r1", "curl"), run_json("r2", AGENT)], list_agents)
        finder = finder_of(platform)
        found = await finder.find(Mark("m.0.1.1"), NOON)
        assert found is not None
        assert found.id == "r2"
        assert await finder.find(Mark("m.0.1.2"), NOON) is None

    run_virtual(scenario)


@pytest.mark.parametrize("hours", [-3, 0, 3])
def test_clock_that_differs_hides_no_run(hours: int) -> None:
    """The platform's `Date` tells how far back its list must be asked for."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("r1", AGENT)], ahead=timedelta(hours=hours))
        found = await finder_of(platform).find(Mark("m.0.1.1"), NOON)
        assert found is not None

    run_virtual(scenario)


def test_many_questions_share_a_pass() -> None:
    """A hundred attempts that look at the same time cost two lists, not a hundred."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("r1", AGENT)])
        finder = finder_of(platform)
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(finder.find, Mark(f"m.{number}.1.1"), NOON)
        assert platform.lists <= 2

    run_virtual(scenario)


def test_run_without_a_name_is_told_by_input_and_options() -> None:
    """Where no user agent comes back, an unclaimed run with what was sent is taken, once."""

    async def scenario() -> None:
        platform = FakePlatform(
            [
                run_json("foreign", None, act_id="act2"),
                run_json("mine", None),
                run_json("big", None, 4096),
                run_json("other", None),
            ],
            inputs={
                "s-foreign": b'{"a":1}',
                "s-mine": b'{"a":1,"b":2}',
                "s-big": b'{"a":1}',
                "s-other": b'{"a":2}',
            },
        )
        finder = finder_of(platform)
        assert await finder.find(Mark("m.0.1.1"), NOON) is None
        options = RunOptions(memory_mbytes=1024)
        found = await finder.find_by_input(TARGET, options, b'{"a":1}')
        assert found is not None
        assert found.id == "mine"
        assert await finder.find_by_input(TARGET, options, b'{"a":1}') is None

    run_virtual(scenario)


def test_claimed_run_is_found_for_nobody_else() -> None:
    """A run that belongs to an attempt is neither read again nor given to another."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("r1", None)], inputs={"s-r1": b"{}"})
        finder = finder_of(platform, "r1")
        assert await finder.find(Mark("m.0.1.1"), NOON) is None
        assert await finder.find_by_input(TARGET, RunOptions(), b"{}") is None
        assert platform.reads == 0

    run_virtual(scenario)


@pytest.mark.parametrize(
    ("record", "sent", "holds"),
    [
        (b'{"a": 1, "b": [2]}', b'{"b":[2]}', True),
        (b'{"a": 1}', b'{"a":2}', False),
        (b'{"a": 1}', b'{"b":1}', False),
        (b"raw", b"raw", True),
        (b"raw", b"{}", False),
    ],
)
def test_record_holds_what_was_sent_as_json_values(record: bytes, sent: bytes, holds: bool) -> None:
    """The platform may merge properties in; what was sent must be there as it was."""
    assert contains(record, sent) is holds
