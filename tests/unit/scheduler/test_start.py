from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from orchestrator.apify import ApifyClient, models
from orchestrator.errors import (
    NoRoom,
    NotAuthorized,
    PermanentError,
    PlanLimitReached,
    PlatformError,
    StartUnconfirmed,
    TransientError,
)
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import OnUnconfirmed
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import CollectPlan, Job, Mode, RunOptions, Target
from orchestrator.model.rules import Remedy
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.start_gate import Gate
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_search import RunFinder
from orchestrator.scheduler.start import Starter
from orchestrator.scheduler.start_request import (
    CAP_BELOW_FLOOR,
    StartLost,
    StartParts,
    StartPolicy,
    StartPostponed,
)
from tests.support.builders import NOON, make_job, make_ledger, make_run
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
    Lets each start have a run, and answers as it is asked to.

    Attributes:
        loses: how many answers to starts are lost, the first ones.
        has_effect: whether starts whose answers are lost have a run.
        lists: whether the lists of runs may be read.
        lists_from: when they may be read at the earliest.
        refuses: how starts are refused; None when they are not.
        shows_agents: whether runs tell who started them.
        tells_time: whether answers tell the platform's time.
        sent: the ways in which starts were sent.
        sent_at: when runs were asked for.
        caps: the most that runs may cost, as starts said.
    """

    loses: int = 0
    has_effect: bool = True
    lists: bool = True
    lists_from: float = 0.0
    refuses: PlatformError | None = None
    shows_agents: bool = True
    tells_time: bool = True
    sent: list[str] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    caps: list[Decimal | None] = field(default_factory=list)
    existing: dict[str, dict[str, Any]] = field(default_factory=dict)

    def platform_now(self) -> datetime | None:
        return NOON if self.tells_time else None

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
        if is_lost and not self.has_effect:
            raise StartUnconfirmed("the answer was lost")
        run = self._new_run(mark)
        if is_lost:
            raise StartUnconfirmed("the answer was lost")
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
        return models.RunList.model_validate({"total": len(items), "items": items})

    @asynccontextmanager
    async def stream_record(self, _store_id: str, _key: str) -> AsyncIterator[Body]:
        yield Body()

    async def abort(self, run_id: RunId, **_given: object) -> models.Run:
        self.existing[run_id]["status"] = "ABORTED"
        return models.Run(self.existing[run_id])


class Told:
    """Keeps which answers were told as lost, and what is said of runs."""

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
    """What came of a start: the run, what was told, and the number of adopted runs on record."""

    run: Run
    told: Told
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
) -> Started:
    """
    Starts a job's first attempt.

    Args:
        may_exist: whether an earlier process may have sent it.
        jobs: how many jobs are started, one after the other; the last one is reported.
    """
    job = job or make_job()
    ledger = make_ledger(folder, job, *(make_job(seq) for seq in range(1, jobs)))
    told = Told()
    client = cast("ApifyClient", platform)
    orphans = Orphans(
        ledger=ledger,
        client=client,
        observer=cast("Any", told),
        given_up={},
        utc_now=lambda: NOON,
    )
    finder = RunFinder(client, orphans, {RunId("old"): job.target}, targets=[job.target])

    async def read_input(_job: Job) -> bytes:
        return BODY

    async def save_answer(_job: Job, download: Any) -> None:
        await download.read(9)

    async def wait_for_slot() -> None:
        """There is one."""

    parts = StartParts(
        ledger=ledger,
        client=client,
        finder=finder,
        observer=cast("Any", told),
        policy=StartPolicy(on_unconfirmed=policy),
        read_input=read_input,
        save_answer=save_answer,
        gate=Gate(),
        utc_now=lambda: NOON,
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
    return Started(run, told, adopted)


def test_start_that_is_answered_has_its_run(tmp_path: Path) -> None:
    """One request, and its run is that of the answer."""
    platform = FakePlatform()
    started = start(tmp_path, platform)
    assert (started.run.id, platform.sent, started.adopted) == ("run1", ["async"], 0)
    assert started.told.agents_hidden_by == []


def test_answer_that_hides_who_started_the_run_is_told(tmp_path: Path) -> None:
    """The run is taken; that a lost one can be told by its input only is said."""
    started = start(tmp_path, FakePlatform(shows_agents=False))
    assert started.told.agents_hidden_by == ["run1"]


def test_answers_that_hide_who_started_the_runs_are_told_once(tmp_path: Path) -> None:
    """It concerns all starts, and one warning is enough."""
    started = start(tmp_path, FakePlatform(shows_agents=False), jobs=3)
    assert started.told.agents_hidden_by == ["run1"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (NoRoom("full", status=402), StartPostponed),
        (PlanLimitReached("no money left", status=402), StartPostponed),
        (TransientError("later"), StartPostponed),
        (PermanentError("more", status=400, error_type=CAP_BELOW_FLOOR), StartPostponed),
        (NotAuthorized("no token", status=401), NotAuthorized),
    ],
    ids=["no-room", "plan", "later", "cap", "token"],
)
def test_start_that_is_refused_for_now_leaves_nothing_behind(
    tmp_path: Path, error: PlatformError, raised: type[Exception]
) -> None:
    """Its intent is withdrawn: there is no run to search for, and no attempt is used up."""
    with pytest.raises(raised):
        start(tmp_path, FakePlatform(refuses=error), cap_usd=Decimal(1))
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        assert reader.totals().attempts == 0


def test_start_of_an_earlier_process_is_not_repeated_before_its_run_must_show(
    tmp_path: Path,
) -> None:
    """Where nobody knows how old the start is, it counts as sent just now."""
    platform = FakePlatform(tells_time=False)
    assert start(tmp_path, platform, may_exist=True).run.id == "run1"
    assert 45.0 <= platform.sent_at[0] <= 50.0


def test_lists_that_prove_nothing_are_read_again_before_a_start_is_given_up(
    tmp_path: Path,
) -> None:
    """A list that is refused for a while shows the run later, and the run is adopted."""
    started = start(tmp_path, FakePlatform(loses=1, lists_from=55.0))
    assert (started.run.id, started.adopted) == ("run1", 1)


def test_start_is_taken_while_the_platforms_time_is_not_known(tmp_path: Path) -> None:
    """An answer that tells no time is good enough: there is nothing to compare."""
    platform = FakePlatform(tells_time=False)
    assert start(tmp_path, platform).run.id == "run1"


def test_start_whose_answer_was_lost_is_told_and_found(tmp_path: Path) -> None:
    """Its run is adopted by its mark; no second start is sent."""
    platform = FakePlatform(loses=1)
    started = start(tmp_path, platform)
    assert (started.run.id, platform.sent, started.adopted) == ("run1", ["async"], 1)
    assert started.told.unconfirmed == ["the answer was lost"]


def test_run_that_tells_nobody_who_started_it_is_adopted_by_its_input(tmp_path: Path) -> None:
    """Where no mark comes back, a run with the same input is taken; no second start is sent."""
    platform = FakePlatform(loses=1, shows_agents=False)
    platform.existing["old"] = {
        "id": "old",
        "status": "SUCCEEDED",
        "startedAt": NOON.isoformat(),
        "defaultDatasetId": "d",
        "defaultKeyValueStoreId": "s",
    }
    started = start(tmp_path, platform)
    assert (started.run.id, platform.sent) == ("run1", ["async"])


def test_start_without_effect_is_sent_again(tmp_path: Path) -> None:
    """Where the lists show that there is no run, a second start is sent."""
    platform = FakePlatform(loses=1, has_effect=False)
    assert start(tmp_path, platform).run.id == "run2"
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        # Should the first one have a run after all, it is an orphan.
        assert len(reader.given_up()) == 1


@pytest.mark.parametrize(
    ("policy", "lists", "has_effect", "sends"),
    [
        (OnUnconfirmed.ADOPT, False, True, 1),
        (OnUnconfirmed.FAIL, True, False, 1),
        (OnUnconfirmed.FAIL, False, True, 1),
    ],
    ids=["adopt-sees-no-list", "fail-sees-no-run", "fail-sees-no-list"],
)
def test_start_that_stays_unclear_is_given_up(
    tmp_path: Path, policy: OnUnconfirmed, *, lists: bool, has_effect: bool, sends: int
) -> None:
    """Without proof, or where the user forbids it, no second start is sent."""
    platform = FakePlatform(loses=1, lists=lists, has_effect=has_effect)
    with pytest.raises(StartLost):
        start(tmp_path, platform, policy=policy)
    assert len(platform.sent) == sends


def test_start_that_stays_unclear_is_sent_again_where_the_user_says_so(tmp_path: Path) -> None:
    """With `restart`, a second run is risked though no list shows that there is none."""
    platform = FakePlatform(loses=1, lists=False)
    started = start(tmp_path, platform, policy=OnUnconfirmed.RESTART)
    assert (started.run.id, platform.sent) == ("run2", ["async", "async"])


@pytest.mark.parametrize(
    ("plan", "way"),
    [
        (CollectPlan(items=True, output=False), "items"),
        (CollectPlan(items=True, output=True), "output"),
        (CollectPlan(items=False, output=True), "output"),
        (CollectPlan(items=False, output=False), "output"),
    ],
)
def test_held_start_is_answered_with_what_is_collected(
    tmp_path: Path, plan: CollectPlan, way: str
) -> None:
    """Items where they alone are wanted; the output otherwise."""
    platform = FakePlatform()
    start(tmp_path, platform, make_job(mode=Mode.SYNC, collect=plan))
    assert platform.sent == [way]


OLD = {
    "id": "old",
    "status": "RUNNING",
    "startedAt": (NOON - timedelta(hours=1)).isoformat(),
    "defaultDatasetId": "d",
    "defaultKeyValueStoreId": "s",
    "stats": {"resurrectCount": 0},
}


@pytest.mark.parametrize("loses", [0, 1])
def test_resurrection_goes_on_with_the_run_that_it_names(tmp_path: Path, loses: int) -> None:
    """Its run is one that an earlier attempt has; a lost request without effect is sent again."""
    platform = FakePlatform(loses=loses, existing={"old": dict(OLD)})
    remedy = Remedy(resurrects=RunId("old"))
    assert start(tmp_path, platform, remedy=remedy).run.id == "old"
    assert platform.sent == ["resurrect"] * (loses + 1)


def test_attempt_takes_the_run_that_another_process_started_for_it(tmp_path: Path) -> None:
    """Nothing is sent, and the run is recorded as adopted."""
    platform = FakePlatform()
    found = make_run("theirs", status="RUNNING", finished_at=None)
    started = start(tmp_path, platform, found=found)
    assert (started.run.id, platform.sent, started.adopted) == ("theirs", [], 1)
    assert started.told.adopted == [True]


@pytest.mark.parametrize(
    ("own", "chosen", "sent"),
    [(None, None, None), (None, "2", "2"), ("1", "2", "1"), ("1", None, "1")],
)
def test_start_sends_its_own_cap_or_the_one_that_is_chosen(
    tmp_path: Path, own: str | None, chosen: str | None, sent: str | None
) -> None:
    """A cap in the spec is sent as it is; ours only where there is none."""
    own_usd, chosen_usd, sent_usd = (
        None if one is None else Decimal(one) for one in (own, chosen, sent)
    )
    platform = FakePlatform()
    job = make_job(options=RunOptions(max_total_charge_usd=own_usd))
    start(tmp_path, platform, job, cap_usd=chosen_usd)
    assert platform.caps == [sent_usd]
