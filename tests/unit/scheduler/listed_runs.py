"""A platform with listed runs, and a finder that searches among them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import anyio

from orchestrator.apify import ApifyClient, models
from orchestrator.errors import NotAuthorized, NotFound
from orchestrator.model.attempts import Attempt
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import RunOptions, Target, TargetKind
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_search import RunFinder
from tests.support.builders import NOON, make_job
from tests.support.whole_client import WholeClient

TARGET = Target(kind=TargetKind.ACTOR, id="me/actor")


def run_json(
    name: str, agent: str | None, memory: int = 1024, act_id: str = "act1", secs: float = 0
) -> dict[str, Any]:
    return {
        "id": name,
        "actId": act_id,
        "status": "RUNNING",
        "startedAt": (NOON + timedelta(seconds=secs)).isoformat(),
        "meta": {"origin": "API", **({"userAgent": agent} if agent else {})},
        "defaultDatasetId": f"d-{name}",
        "defaultKeyValueStoreId": f"s-{name}",
        "options": {"memoryMbytes": memory, "timeoutSecs": 60, "build": "b", "diskMbytes": 1},
    }


def ended(run: dict[str, Any]) -> dict[str, Any]:
    return {**run, "status": "SUCCEEDED"}


@dataclass
class Body:
    data: bytes

    async def read(self, _limit: int) -> bytes:
        return self.data


@dataclass
class FakePlatform(WholeClient):
    """
    Runs with their inputs; counts its requests.

    Attributes:
        list_agents: whether lists show user agents.
        shows: the ids that the account's list shows; None for all.
        unreadable: ids of runs that are listed and cannot be read.
        refuses_own: whether the list of an Actor's runs is refused.
    """

    existing: list[dict[str, Any]]
    list_agents: bool = True
    inputs: dict[str, bytes] = field(default_factory=dict)
    shows: set[str] | None = None
    refuses_own: bool = False
    unreadable: set[str] = field(default_factory=set)
    lists: int = 0
    reads: int = 0

    async def get_target(self, _target: Target) -> models.Actor:
        return models.Actor.model_validate({"id": "act1"})

    async def list(
        self, *, target: Target | None, started_after: datetime, **_given: object
    ) -> models.RunList:
        self.lists += 1
        await anyio.sleep(0.1)
        if target is not None and self.refuses_own:
            raise NotAuthorized("not yours", method="GET", path="/runs", status=403)
        items = [
            dict(run)
            for run in self.existing
            if datetime.fromisoformat(run["startedAt"]) >= started_after
            and (target is not None or self.shows is None or run["id"] in self.shows)
        ]
        if not self.list_agents:
            for item in items:
                item["meta"] = {"origin": "API"}
        return models.RunList(len(items), list(map(models.Run, items)))

    async def get(self, run_id: RunId, **_given: object) -> models.Run:
        self.reads += 1
        if run_id in self.unreadable:
            raise NotFound("gone", method="GET", path="/run", status=404)
        return models.Run(next(run for run in self.existing if run["id"] == run_id))

    @asynccontextmanager
    async def stream_record(self, store_id: str, _key: str) -> AsyncIterator[Body]:
        yield Body(self.inputs[store_id])


class NoOrphans:
    """No start was given up."""

    since = None
    took_over_at: datetime | None = None

    def note(self, _mark: Mark, _run: Run) -> None:
        """Does nothing."""

    async def end_noted(self) -> None:
        """Does nothing."""


def sent(mark: str = "m.0.1.1", options: RunOptions | None = None) -> Attempt:
    return Attempt(
        job=make_job(target=TARGET, options=options or RunOptions()),
        number=1,
        send=1,
        mark=Mark(mark),
        state=AttemptState.UNCONFIRMED,
        intent_at=NOON + timedelta(days=1),
        platform_at=NOON,
    )


def finder_of(platform: FakePlatform, *claimed: str, others: frozenset[str] = frozenset()) -> Any:
    async def is_of_another(run_id: RunId) -> bool:
        return run_id in others

    return RunFinder(
        cast("ApifyClient", platform),
        cast("Orphans", NoOrphans()),
        [(RunId(name), TARGET) for name in claimed],
        is_of_another=is_of_another,
    )


AGENT = "orchestrator/0.1.0 (attempt m.0.1.1)"
