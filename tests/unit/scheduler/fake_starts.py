"""A platform that answers starts as a test configures it, and one attempt that starts there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import anyio

from orchestrator.apify import ApifyClient, models
from orchestrator.errors import (
    NotAuthorized,
    PlatformError,
    StartUnconfirmed,
)
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import OnUnconfirmed
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import Job, RunOptions, Target
from orchestrator.model.rules import Remedy
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.start_gate import Gate
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_search import RunFinder
from orchestrator.scheduler.start import Starter
from orchestrator.scheduler.start_request import (
    StartParts,
    StartPolicy,
)
from tests.support.builders import NOON, make_job, make_ledger
from tests.support.virtual_time import run_virtual
from tests.support.whole_client import WholeClient

BODY = b'{"a":1}'


@dataclass
class Body:
    async def read(self, _limit: int) -> bytes:
        return BODY


@dataclass
class FakePlatform(WholeClient):
    """
    Gives each start a run, and answers as a test configures it.

    Attributes:
        loses: how many of the first answers to starts are lost.
        has_effect: whether starts whose answers are lost have a run.
        silent_secs: after how long such an answer counts as lost.
        status: of the page that comes instead of such an answer; None if nothing comes.
        lists: whether the lists of runs can be read.
        lists_from: when they can be read at the earliest.
        refuses: how starts are refused; None if they are not.
        shows_agents: whether runs show who started them.
        shows_time: whether answers show the platform's time.
        sent: how each start was sent.
        sent_at: when runs were requested.
        caps: the cap of each start.
    """

    loses: int = 0
    has_effect: bool = True
    silent_secs: float = 0.0
    status: int | None = None
    lists: bool = True
    lists_from: float = 0.0
    refuses: PlatformError | None = None
    shows_agents: bool = True
    shows_time: bool = True
    sent: list[str] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    caps: list[Decimal | None] = field(default_factory=list)
    existing: dict[str, dict[str, Any]] = field(default_factory=dict)

    def platform_now(self) -> datetime | None:
        return NOON if self.shows_time else None

    def _new_run(self, mark: str) -> models.Run:
        name = f"run{len(self.sent)}"
        agent = f"orchestrator/1 (attempt {mark})" if self.shows_agents else None
        self.existing[name] = {
            "id": name,
            "actId": "act1",
            "status": "RUNNING",
            "startedAt": NOON.isoformat(),
            "meta": {"origin": "API", **({"userAgent": agent} if agent else {})},
            "defaultDatasetId": "d",
            "defaultKeyValueStoreId": "s",
        }
        return models.Run(self.existing[name])

    async def start(
        self, _target: Target, *, mark: str, options: RunOptions, **_given: object
    ) -> models.Run:
        if self.refuses is not None:
            raise self.refuses
        self.sent.append("async")
        self.sent_at.append(anyio.current_time())
        self.caps.append(options.max_total_charge_usd)
        is_lost = len(self.sent) <= self.loses
        if is_lost:
            await anyio.sleep(self.silent_secs)
        if is_lost and not self.has_effect:
            raise StartUnconfirmed("the answer was lost", status=self.status)
        run = self._new_run(mark)
        if is_lost:
            raise StartUnconfirmed("the answer was lost", status=self.status)
        return run

    @asynccontextmanager
    async def run_sync(
        self, _target: Target, *, mark: str, **_given: object
    ) -> AsyncIterator[Body]:
        self.sent.append("output")
        self._new_run(mark)
        yield Body()

    @asynccontextmanager
    async def run_sync_items(
        self, _target: Target, *, mark: str, **_given: object
    ) -> AsyncIterator[Body]:
        self.sent.append("items")
        self._new_run(mark)
        yield Body()

    async def resurrect(self, run_id: RunId, *_given: object, **_more: object) -> models.Run:
        self.sent.append("resurrect")
        if len(self.sent) <= self.loses:
            raise StartUnconfirmed("the answer was lost")
        self.existing[run_id]["stats"] = {"resurrectCount": 1}
        return models.Run(self.existing[run_id])

    async def get(self, run_id: RunId, **_given: object) -> models.Run:
        return models.Run(self.existing[run_id])

    async def get_target(self, _target: Target) -> models.Actor:
        return models.Actor.model_validate({"id": "act1"})

    async def list(self, *, started_after: datetime, **_given: object) -> models.RunList:
        if not self.lists or anyio.current_time() < self.lists_from:
            raise NotAuthorized("not yours", method="GET", path="/runs", status=403)
        items = [
            run
            for run in self.existing.values()
            if datetime.fromisoformat(run["startedAt"]) >= started_after
        ]
        return models.RunList(len(items), list(map(models.Run, items)))

    @asynccontextmanager
    async def stream_record(self, _store_id: str, _key: str) -> AsyncIterator[Body]:
        yield Body()

    async def abort(self, run_id: RunId, **_given: object) -> models.Run:
        self.existing[run_id]["status"] = "ABORTED"
        return models.Run(self.existing[run_id])


class Reported:
    """Records which answers were reported as lost, and the warnings about runs."""

    def __init__(self) -> None:
        self.unconfirmed: list[str] = []
        self.adopted: list[bool] = []
        self.agents_hidden_by: list[str] = []

    def start_unconfirmed(self, error: str) -> None:
        self.unconfirmed.append(error)

    def run_started(self, _attempt: object, _run: object, *, adopted: bool) -> None:
        self.adopted.append(adopted)

    def agents_hidden(self, run: Run) -> None:
        self.agents_hidden_by.append(run.id)

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_told, **_more: None


@dataclass
class Started:
    """The result of a start: the run, what was reported, and the number of adopted runs."""

    run: Run
    reported: Reported
    adopted: int


def start(
    folder: Path,
    platform: FakePlatform,
    job: Job | None = None,
    *,
    policy: OnUnconfirmed = OnUnconfirmed.ADOPT,
    remedy: Remedy | None = None,
    found: Run | None = None,
    cap_usd: Decimal | None = None,
    may_exist: bool = False,
    jobs: int = 1,
    chance: float = 0.0,
) -> Started:
    """
    Starts a job's first attempt.

    Args:
        may_exist: whether an earlier process may have sent it.
        jobs: how many jobs are started, one after the other; the last one is reported.
        chance: the random number, from 0 to 1, of each pause.
    """
    job = job or make_job()
    ledger = make_ledger(folder, job, *(make_job(seq) for seq in range(1, jobs)))
    reported = Reported()
    client = cast("ApifyClient", platform)
    orphans = Orphans(
        ledger=ledger,
        client=client,
        observer=cast("Any", reported),
        given_up={},
        utc_now=lambda: NOON,
    )
    finder = RunFinder(client, orphans, [(RunId("old"), job.target)], targets=[job.target])

    async def read_input(_job: Job) -> bytes:
        return BODY

    async def save_answer(_job: Job, download: Any) -> None:
        await download.read(9)

    async def wait_for_slot() -> None:
        """There is a slot."""

    parts = StartParts(
        ledger=ledger,
        client=client,
        finder=finder,
        observer=cast("Any", reported),
        policy=StartPolicy(on_unconfirmed=policy),
        read_input=read_input,
        save_answer=save_answer,
        gate=Gate(),
        utc_now=lambda: NOON,
        chance=lambda: chance,
    )

    async def scenario() -> Run:
        starter = Starter(parts)
        for seq in range(jobs - 1):
            other = await ledger.record_intent(seq, 1, NOON, platform_at=platform.platform_now())
            await starter.start(other, wait_for_slot=wait_for_slot)
        attempt = await ledger.record_intent(
            jobs - 1, 1, NOON, platform_at=platform.platform_now(), caps_itself=cap_usd is None
        )
        if remedy is not None:
            attempt = replace(attempt, remedy=remedy)
        if found is not None:
            orphans.note(Mark("mark123.0.1.1zzzz"), found)
            await orphans.end_noted()
        return await starter.start(
            attempt, may_exist=may_exist, cap_usd=cap_usd, wait_for_slot=wait_for_slot
        )

    run = run_virtual(scenario)
    with LedgerReader(folder / "ledger.sqlite") as reader:
        adopted = reader.totals().adopted
    return Started(run, reported, adopted)


OLD = {
    "id": "old",
    "status": "RUNNING",
    "startedAt": (NOON - timedelta(hours=1)).isoformat(),
    "defaultDatasetId": "d",
    "defaultKeyValueStoreId": "s",
    "stats": {"resurrectCount": 0},
}
