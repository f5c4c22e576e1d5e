from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from orchestrator.apify import ApifyClient, models
from orchestrator.errors import NotFound
from orchestrator.event_log import bound, bound_facts
from orchestrator.ledger import Ledger, LedgerReader
from orchestrator.model.ids import RunId
from orchestrator.model.jobs import CollectPlan
from orchestrator.scheduler.follow import (
    ABORT_GRACE_SECS,
    MANY_RUNS,
    PAUSE_SHARE,
    EndedRun,
    Follower,
)
from tests.support.builders import NOON, make_job, make_ledger, make_run
from tests.support.virtual_time import run_virtual
from tests.support.whole_client import WholeClient

MANY = 10
"""So many runs at once are many in these tests."""


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
        if self.is_polite or not gracefully:
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


def test_long_run_is_no_straggler_while_nothing_is_usual(tmp_path: Path) -> None:
    """If an Actor has had few runs, none is called slow, however long it takes."""
    ends = {f"r{number}": 10.0 for number in range(4)} | {"long": 5000.0}
    went = follow(tmp_path, FakePlatform(ends))
    assert (went.early, went.stragglers, went.slow) == ([], [], [])


def test_run_far_beyond_what_is_usual_is_a_straggler(tmp_path: Path) -> None:
    """It is called slow once, while it is live; runs that take the usual time are not."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"long": 5000.0, "usual": 12.0}
    went = follow(tmp_path, FakePlatform(ends))
    assert (went.early, went.stragglers, went.slow) == (["job-5"], ["job-5"], ["long"])


def test_run_that_takes_too_long_is_aborted(tmp_path: Path) -> None:
    """With `abort_after_factor`, it is aborted after so many usual durations, with this reason."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"long": 5000.0}
    platform = FakePlatform(ends)
    went = follow(tmp_path, platform, abort_after_factor=4.0)
    ((name, gracefully, at),) = platform.aborted
    assert (name, gracefully) == ("long", True)
    assert at == pytest.approx(40.0, abs=2)
    long = went.ended["long"]
    assert long is not None
    assert "abort_after_factor" in (long.aborted_because or "")


def test_run_that_ignores_a_graceful_abort_is_aborted_hard(tmp_path: Path) -> None:
    """It gets as much time as the platform allows, and no more."""
    platform = FakePlatform({"stubborn": 5000.0}, is_polite=False)
    went = follow(tmp_path, platform, meanwhile=lambda follower: follower.abort_runs("deadline"))
    assert [gracefully for _, gracefully, _ in platform.aborted] == [True, False]
    first, second = (at for _, _, at in platform.aborted)
    assert second - first == pytest.approx(ABORT_GRACE_SECS, abs=2)
    stubborn = went.ended["stubborn"]
    assert stubborn is not None
    assert stubborn.aborted_because == "deadline"


def test_waits_are_given_up_while_runs_are_live(tmp_path: Path) -> None:
    """A stop ends all waits at once; runs that have ended keep their outcomes."""
    platform = FakePlatform({"quick": 10.0, "long": 5000.0})
    went = follow(tmp_path, platform, meanwhile=Follower.give_up_waits)
    assert went.ended["quick"] is not None
    assert (went.ended["long"], platform.aborted) == (None, [])
    assert went.secs == pytest.approx(100, abs=1)


def test_waits_are_given_up_between_two_polls(tmp_path: Path) -> None:
    """A stop does not wait for the pause after a poll that was answered at once."""
    platform = FakePlatform({"long": 5000.0}, answers_at_once=True)
    went = follow(tmp_path, platform, meanwhile=Follower.give_up_waits)
    assert went.ended == {"long": None}
    assert went.secs == pytest.approx(100.5, abs=0.01)


def test_waits_are_given_up_during_an_abort(tmp_path: Path) -> None:
    """A stop does not wait for a run that takes its time to obey an abort."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"stubborn": 5000.0}
    platform = FakePlatform(ends, is_polite=False)
    went = follow(tmp_path, platform, meanwhile=Follower.give_up_waits, abort_after_factor=9.0)
    assert [gracefully for _, gracefully, _ in platform.aborted] == [True]
    assert went.ended["stubborn"] is None
    assert went.secs == pytest.approx(100.5, abs=0.01)


def test_run_that_cannot_be_aborted_is_abandoned_at_a_deadline(tmp_path: Path) -> None:
    """At a deadline, the command does not wait for a run whose abort the platform refuses."""
    platform = FakePlatform({"long": 5000.0}, refuses=True)
    went = follow(tmp_path, platform, meanwhile=lambda follower: follower.abort_runs("deadline"))
    assert went.ended == {"long": None}
    assert went.secs == pytest.approx(100, abs=1)


def test_slow_run_that_cannot_be_aborted_is_followed_to_its_end(tmp_path: Path) -> None:
    """If the platform refuses to abort a slow run, the run is followed to its end."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"long": 5000.0}
    went = follow(tmp_path, FakePlatform(ends, refuses=True), abort_after_factor=4.0)
    long = went.ended["long"]
    assert long is not None
    assert long.run.status == "SUCCEEDED"


def test_status_of_a_live_run_is_shown_when_it_changes(tmp_path: Path) -> None:
    """A run that waits for a place is READY; its next status is shown once."""
    went = follow(tmp_path, FakePlatform({"r0": 500.0}, begin=200.0))
    assert went.seen == ["RUNNING"]


def test_run_that_waits_for_a_place_is_no_straggler(tmp_path: Path) -> None:
    """A run that the platform has not begun is neither called slow nor aborted."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"late": 5000.0}
    platform = FakePlatform(ends, begin=9000.0)
    went = follow(tmp_path, platform, abort_after_factor=4.0)
    assert (went.early, went.slow, platform.aborted) == ([], [], [])


def test_run_that_waited_for_a_place_is_not_aborted_when_it_begins(tmp_path: Path) -> None:
    """Its age counts from when it was first seen RUNNING, however long it waited before."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"late": 620.0}
    platform = FakePlatform(ends, waits={"late": 600.0})
    went = follow(tmp_path, platform, abort_after_factor=4.0)
    assert (went.slow, went.stragglers, platform.aborted) == ([], [], [])


def test_run_that_waited_for_a_place_is_aborted_when_it_runs_too_long(tmp_path: Path) -> None:
    """The next poll after its beginning is early enough to call it slow in time."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"late": 5000.0}
    platform = FakePlatform(ends, waits={"late": 601.0})
    follow(tmp_path, platform, abort_after_factor=4.0)
    ((name, _, at),) = platform.aborted
    assert name == "late"
    assert 641 <= at <= 675


def test_usual_duration_excludes_the_wait_for_a_place(tmp_path: Path) -> None:
    """The usual duration is how long runs are RUNNING, without their wait."""
    waits = {f"r{number}": 900.0 for number in range(5)}
    platform = FakePlatform(dict.fromkeys(waits, 910.0) | {"long": 5000.0}, waits=waits)
    follow(tmp_path, platform, abort_after_factor=4.0)
    ((name, _, at),) = platform.aborted
    assert name == "long"
    assert at == pytest.approx(910, abs=5)


@pytest.mark.parametrize(("age", "aborted_at"), [(25.0, 15.0), (0.0, 40.0)])
def test_age_of_a_run_of_an_earlier_process_counts(
    tmp_path: Path, age: float, aborted_at: float
) -> None:
    """With `abort_after_factor`, a resume gives a slow run no extra time."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"long": 5000.0}
    platform = FakePlatform(ends)
    follow(tmp_path, platform, created_ago={"long": age}, abort_after_factor=4.0)
    ((_, _, at),) = platform.aborted
    assert at == pytest.approx(aborted_at, abs=2)


def test_run_that_this_process_started_has_just_begun(tmp_path: Path) -> None:
    """Its age is measured on this machine, so a wrong clock aborts nothing."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"long": 30.0}
    platform = FakePlatform(ends)
    follow(tmp_path, platform, wrong_by=3600.0, abort_after_factor=4.0)
    assert platform.aborted == []


def test_error_of_a_run_is_reported_beside_its_download(tmp_path: Path) -> None:
    """With `live`, the error of the run itself is reported, not that of the download."""
    platform = FakePlatform({"gone": 10.0}, is_readable=False)
    with pytest.raises(ExceptionGroup) as caught:
        follow(tmp_path, platform, collect=CollectPlan(live=True))
    assert [type(error) for error in caught.value.exceptions] == [NotFound]


def test_run_that_obeys_a_graceful_abort_is_followed_to_its_end(tmp_path: Path) -> None:
    """At a deadline it is aborted once, and collected like any other."""
    platform = FakePlatform({"long": 5000.0})
    went = follow(tmp_path, platform, meanwhile=lambda follower: follower.abort_runs("deadline"))
    long = went.ended["long"]
    assert long is not None
    assert (long.run.status, len(platform.aborted)) == ("ABORTED", 1)


def test_platform_that_answers_polls_at_once_is_polled_once_a_second(tmp_path: Path) -> None:
    """Polls that are answered at once do not become a flood of requests."""
    platform = FakePlatform({"r0": 30.0}, answers_at_once=True)
    follow(tmp_path, platform)
    assert platform.polls <= 32


def test_many_runs_at_once_take_at_most_seven_requests_beyond_their_polls(tmp_path: Path) -> None:
    """An hour of runs of ten minutes takes 54 polls: with six starts and downloads, 66 requests."""
    platform = FakePlatform({f"r{number}": 600.0 for number in range(MANY)})
    went = follow(tmp_path, platform, many_runs=MANY)
    assert platform.polls == 9 * MANY
    assert went.secs == pytest.approx(600.0, abs=0.1)


def test_one_of_many_runs_is_seen_to_end_in_its_first_minute_at_once(tmp_path: Path) -> None:
    """No pause comes before the first poll has taken its time; a later one is a seventh of it."""
    many = {f"r{number}": 610.0 for number in range(MANY)}
    platform = FakePlatform(many | {"early": 59.0, "late": 61.0})
    went = follow(tmp_path, platform, many_runs=MANY)
    assert platform.seen_at["early"] == pytest.approx(59.0, abs=0.1)
    assert platform.seen_at["late"] == pytest.approx(60.0 * (1 + PAUSE_SHARE), abs=0.1)
    assert None not in went.ended.values()


def test_one_of_many_runs_is_aborted_in_time(tmp_path: Path) -> None:
    """A pause between two polls does not delay `abort_after_factor`."""
    many = {f"r{number}": 610.0 for number in range(MANY)}
    usual = {f"u{number}": 15.5 for number in range(5)}
    platform = FakePlatform(usual | many | {"long": 5000.0})
    follow(tmp_path, platform, many_runs=MANY, abort_after_factor=4.0)
    assert {round(at) for _, _, at in platform.aborted} == {62}


def test_pause_of_one_of_many_runs_ends_at_a_stop(tmp_path: Path) -> None:
    """A stop between two polls is obeyed at once."""
    platform = FakePlatform({f"r{number}": 5000.0 for number in range(MANY)})
    went = follow(tmp_path, platform, many_runs=MANY, at=65.0, meanwhile=Follower.give_up_waits)
    assert set(went.ended.values()) == {None}
    assert went.secs == pytest.approx(65.0, abs=0.01)
