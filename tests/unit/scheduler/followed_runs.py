"""Runs that a `Follower` follows on virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import anyio

from orchestrator.apify import ApifyClient, models
from orchestrator.errors import NotFound
from orchestrator.event_log import bound, bound_facts
from orchestrator.ledger import Ledger, LedgerReader
from orchestrator.model.ids import RunId
from orchestrator.scheduler.follow import MANY_RUNS, EndedRun, Follower
from tests.support.builders import NOON, make_job, make_ledger, make_run
from tests.support.virtual_time import run_virtual
from tests.support.whole_client import WholeClient


@dataclass
class FakePlatform(WholeClient):
    """
    Runs that all begin at noon, when the clock shows 0.

    Attributes:
        ends: when each run ends, in seconds after noon.
        begin: until when runs are READY.
        waits: the same for single runs.
        is_polite: whether runs end when they are aborted gracefully.
        refuses: whether it refuses all aborts.
        is_deaf: whether it accepts all aborts, and the runs continue.
        is_readable: whether runs can be read.
        answers_at_once: whether it answers each poll at once, not at the run's end.
        aborted: the runs that were aborted, each with whether gracefully, and when.
        seen_at: when an answer first said that a run had ended.
    """

    ends: dict[str, float]
    begin: float = 0.0
    waits: dict[str, float] = field(default_factory=dict)
    is_polite: bool = True
    refuses: bool = False
    is_deaf: bool = False
    answers_at_once: bool = False
    is_readable: bool = True
    polls: int = 0
    aborted: list[tuple[str, bool, float]] = field(default_factory=list)
    seen_at: dict[str, float] = field(default_factory=dict)

    def status_of(self, run_id: str) -> str:
        begins = self.waits.get(run_id, self.begin)
        return "RUNNING" if anyio.current_time() >= begins else "READY"

    def platform_now(self) -> None:
        return None

    async def get(self, run_id: RunId, *, wait_secs: float, **_given: object) -> models.Run:
        self.polls += 1
        if not self.is_readable:
            raise NotFound("not here", method="GET", path="/run", status=404)
        if self.answers_at_once:
            wait_secs = 0.001
        await anyio.sleep(min(wait_secs, max(0.0, self.ends[run_id] - anyio.current_time())))
        now, end = anyio.current_time(), self.ends[run_id]
        is_aborted = any(run_id == aborted for aborted, _, _ in self.aborted)
        slow: dict[str, Any] = {
            "id": run_id,
            "status": self.status_of(run_id),
            "startedAt": NOON.isoformat(),
            "defaultDatasetId": "d",
            "defaultKeyValueStoreId": "s",
        }
        if is_aborted:
            slow["status"] = "ABORTING"
        if now >= end:
            self.seen_at.setdefault(run_id, now)
            slow["status"] = "ABORTED" if is_aborted else "SUCCEEDED"
            slow["finishedAt"] = (NOON + timedelta(seconds=end)).isoformat()
        return models.Run(slow)

    async def abort(self, run_id: RunId, *, gracefully: bool = False) -> None:
        if self.refuses:
            raise NotFound("not yours", method="POST", path="/abort", status=404)
        self.aborted.append((run_id, gracefully, anyio.current_time()))
        if not self.is_deaf and (self.is_polite or not gracefully):
            self.ends[run_id] = anyio.current_time()


class Watcher:
    """Records which runs were called slow while they were live, and their statuses."""

    def __init__(self) -> None:
        self.slow: list[str] = []
        self.seen: list[str] = []

    def run_straggles(self, _attempt: object, _secs: float, _usual: float) -> None:
        self.slow.append(bound_facts()["run"])

    def run_seen(self, run: Any) -> None:
        self.seen.append(run.status)

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_told, **_more: None


@dataclass
class Followed:
    """
    What happened while some runs were followed.

    Attributes:
        early: the stragglers in the ledger after 100 seconds.
        stragglers: those at the end.
        slow: the runs that were called slow while they were live.
        seen: the statuses that they had while they were live.
        secs: how long it took.
    """

    early: list[str]
    stragglers: list[str]
    slow: list[str]
    seen: list[str]
    ended: dict[str, EndedRun | None]
    secs: float


def stragglers_in(folder: Path) -> list[str]:
    with LedgerReader(folder / "ledger.sqlite") as reader:
        return list(reader.totals().stragglers)


def follow(
    folder: Path,
    platform: FakePlatform,
    *,
    meanwhile: Callable[[Follower], None] = lambda _follower: None,
    created_ago: dict[str, float] | None = None,
    wrong_by: float = 0.0,
    at: float = 100.5,
    many_runs: int = MANY_RUNS,
    **fields: Any,
) -> Followed:
    """
    Follows all runs of a platform at once; calls `meanwhile` after some time.

    Args:
        at: when that is; between two polls of a platform that answers each at once.
        created_ago: how old the runs are that an earlier process started, in seconds.
        wrong_by: how many seconds our clock is ahead.
    """
    resumed = created_ago or {}
    jobs = [make_job(seq, **fields) for seq in range(len(platform.ends))]
    ledger, slow = make_ledger(folder, *jobs), Watcher()
    follower = Follower(
        ledger=ledger,
        client=cast("ApifyClient", platform),
        tail=lambda _job, _run: anyio.sleep_forever(),
        observer=cast("Any", slow),
        utc_now=lambda: NOON + timedelta(seconds=wrong_by),
        many_runs=many_runs,
    )
    ended: dict[str, EndedRun | None] = {}
    early: list[str] = []

    async def one(ledger: Ledger, seq: int, name: str) -> None:
        attempt = await ledger.record_intent(seq, 1, NOON)
        age = timedelta(seconds=resumed.get(name, 0.0))
        status = platform.status_of(name)
        run = make_run(name, status=status, started_at=NOON - age, finished_at=None)
        await ledger.mark_started(attempt, run)
        if name in resumed:
            attempt = replace(attempt, run=run)
        with bound(run=run.id):
            ended[name] = await follower.follow(attempt, run)

    async def act() -> None:
        await anyio.sleep(at)
        early.extend(stragglers_in(folder))
        meanwhile(follower)

    async def scenario() -> float:
        async with anyio.create_task_group() as tasks:
            for seq, name in enumerate(platform.ends):
                tasks.start_soon(one, ledger, seq, name)
            tasks.start_soon(act)
        return anyio.current_time()

    secs = run_virtual(scenario)
    return Followed(early, stragglers_in(folder), slow.slow, slow.seen, ended, secs)
