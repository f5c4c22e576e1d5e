from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import anyio
import pytest

from orchestrator.apify import ApifyClient, models
from orchestrator.errors import NotAuthorized, NotFound
from orchestrator.model.attempts import Attempt
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import RunOptions, Target, TargetKind
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_search import RunFinder, contains
from tests.support.builders import NOON, make_job
from tests.support.virtual_time import run_virtual
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


@dataclass
class Body:
    data: bytes

    async def read(self, _limit: int) -> bytes:
        return self.data


@dataclass
class FakePlatform(WholeClient):
    """
    Runs, and the inputs that they got; counts what it is asked.

    Attributes:
        list_agents: whether lists tell user agents.
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
        return models.RunList.model_validate({"total": len(items), "items": items})

    async def get(self, run_id: RunId, **_given: object) -> models.Run:
        self.reads += 1
        if run_id in self.unreadable:
            raise NotFound("gone", method="GET", path="/run", status=404)
        return models.Run(next(run for run in self.existing if run["id"] == run_id))

    @asynccontextmanager
    async def stream_record(self, store_id: str, _key: str) -> AsyncIterator[Body]:
        yield Body(self.inputs[store_id])


class NoOrphans:
    """Nothing was given up."""

    since = None
    took_over_at: datetime | None = None

    def note(self, _mark: Mark, _run: Run) -> None:
        """Nobody asks."""

    async def end_noted(self) -> None:
        """Nothing is met."""


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
        {RunId(name): TARGET for name in claimed},
        is_of_another=is_of_another,
    )


AGENT = "orchestrator/0.1.0 (attempt m.0.1.1)"


@pytest.mark.parametrize("list_agents", [True, False])
def test_run_is_found_by_its_mark(list_agents: bool) -> None:
    """The mark is read in the list, or in the run itself where the list leaves it out."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("r1", "curl"), run_json("r2", AGENT)], list_agents)
        finder = finder_of(platform)
        assert (await finder.find(sent())).run.id == "r2"
        assert (await finder.find(sent("m.0.1.2"))).run is None

    run_virtual(scenario)


def test_list_is_read_from_the_platforms_time_at_the_intent() -> None:
    """Our clock, which may have been a day ahead when the start was sent, has no say."""

    async def scenario() -> None:
        found = await finder_of(FakePlatform([run_json("r1", AGENT)])).find(sent())
        assert found.run is not None

    run_virtual(scenario)


def test_many_questions_share_a_pass() -> None:
    """A hundred attempts that look at the same time cost two passes, not a hundred."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("r1", AGENT)])
        finder = finder_of(platform)
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(finder.find, sent(f"m.{number}.1.1"))
        assert platform.lists <= 4

    run_virtual(scenario)


@pytest.mark.parametrize(
    ("known", "shows", "refuses_own", "is_proof"),
    [
        (("old",), None, True, True),
        (("old",), {"foreign"}, False, True),
        (("old",), {"foreign"}, True, False),
        ((), None, True, False),
    ],
    ids=["shows-ours", "own-list-is-read", "both-hide-ours", "knows-none"],
)
def test_absence_counts_only_in_a_list_that_shows_our_runs(
    known: tuple[str, ...], shows: set[str] | None, refuses_own: bool, is_proof: bool
) -> None:
    """A token that sees a part of the account cannot show that there is no run."""

    async def scenario() -> None:
        platform = FakePlatform(
            [run_json("old", "x", secs=1), run_json("foreign", "curl")],
            shows=shows,
            refuses_own=refuses_own,
        )
        look = await finder_of(platform, *known).find(sent())
        assert (look.run, look.is_proof) == (None, is_proof)

    run_virtual(scenario)


def test_run_that_only_its_actors_list_shows_is_found() -> None:
    """Where the account's list hides it, the Actor's own list is read too."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("r1", AGENT)], shows=set())
        look = await finder_of(platform).find(sent())
        assert look.run is not None

    run_virtual(scenario)


def test_run_without_a_name_is_told_by_input_and_options() -> None:
    """Where no user agent comes back, an unclaimed run with what was sent is taken, once."""

    async def scenario() -> None:
        platform = FakePlatform(
            [
                run_json("foreign", None, act_id="act2"),
                run_json("before", None, secs=-2),
                run_json("neighbour", None),
                run_json("mine", None),
                run_json("big", None, 4096),
                run_json("other", None),
            ],
            inputs={
                "s-foreign": b'{"a":1}',
                "s-before": b'{"a":1}',
                "s-neighbour": b'{"a":1}',
                "s-mine": b'{"a":1,"b":2}',
                "s-big": b'{"a":1}',
                "s-other": b'{"a":2}',
            },
        )
        finder = finder_of(platform, others=frozenset({"neighbour"}))
        attempt = sent(options=RunOptions(memory_mbytes=1024))
        assert (await finder.find(attempt)).run is None
        found = await finder.find_by_input(attempt, b'{"a":1}')
        assert found.id == "mine"
        assert await finder.find_by_input(attempt, b'{"a":1}') is None

    run_virtual(scenario)


def test_run_that_says_nothing_of_its_options_is_told_by_its_input() -> None:
    """Options that the platform does not tell speak neither for a run nor against it."""

    async def scenario() -> None:
        run = run_json("mine", None)
        del run["options"]
        finder = finder_of(FakePlatform([run], inputs={"s-mine": b'{"a":1}'}))
        attempt = sent(options=RunOptions(memory_mbytes=1024))
        assert (await finder.find(attempt)).run is None
        assert (await finder.find_by_input(attempt, b'{"a":1}')).id == "mine"

    run_virtual(scenario)


def test_run_that_another_program_started_is_not_taken_for_its_input() -> None:
    """Its user agent says who started it, also where lists leave that out."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("theirs", "curl")], False, inputs={"s-theirs": b"{}"})
        finder = finder_of(platform)
        assert (await finder.find(sent())).run is None
        assert await finder.find_by_input(sent(), b"{}") is None

    run_virtual(scenario)


def test_look_over_tells_what_the_runs_of_the_batch_have_cost() -> None:
    """Runs of others on the same list are not among them."""

    async def scenario() -> None:
        mine = {**run_json("mine", "x"), "usageTotalUsd": 0.25}
        platform = FakePlatform([mine, {**run_json("other", "curl"), "usageTotalUsd": 9}])
        assert await finder_of(platform, "mine").read_own_runs(NOON) == {"mine": Decimal("0.25")}

    run_virtual(scenario)


def test_runs_of_other_actors_are_not_read_one_by_one() -> None:
    """Where lists leave user agents out, the rest of the account costs no requests."""

    async def scenario() -> None:
        runs = [run_json(f"r{number}", "curl", act_id="act2") for number in range(9)]
        platform = FakePlatform([*runs, run_json("mine", AGENT)], list_agents=False)
        assert (await finder_of(platform).find(sent())).run is not None
        assert platform.reads == 1

    run_virtual(scenario)


def test_reads_one_by_one_have_an_end() -> None:
    """An account with a million runs is not read through; that is said."""
    warned: list[int] = []

    async def scenario() -> None:
        platform = FakePlatform([run_json(f"r{number}", None) for number in range(9)], False)
        finder = RunFinder(
            cast("ApifyClient", platform),
            cast("Orphans", NoOrphans()),
            agents_hidden=warned.append,
            most_reads=3,
        )
        assert (await finder.find(sent())).run is None
        assert platform.reads == 3

    run_virtual(scenario)
    assert warned[0] == 3


def test_claimed_run_is_found_for_nobody_else() -> None:
    """A run that belongs to an attempt is neither read again nor given to another."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("r1", None)], inputs={"s-r1": b"{}"})
        finder = finder_of(platform, "r1")
        assert (await finder.find(sent())).run is None
        assert await finder.find_by_input(sent(), b"{}") is None
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


def test_run_that_is_listed_and_cannot_be_read_makes_a_look_no_proof() -> None:
    """It may be the run that is looked for: that none was found shows nothing."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("old", "x", secs=1), run_json("r1", None)], False)
        platform.unreadable = {"r1"}
        look = await finder_of(platform, "old").find(sent())
        assert (look.run, look.is_proof) == (None, False)

    run_virtual(scenario)


@pytest.mark.parametrize(("status", "is_raised"), [(401, True), (403, False)])
def test_list_that_is_refused_shows_nothing_unless_the_token_is(
    status: int, *, is_raised: bool
) -> None:
    """A token may be shown a part; one that counts no more ends the batch."""

    class Refusing(FakePlatform):
        async def list(self, **_given: object) -> models.RunList:
            raise NotAuthorized("no", method="GET", path="/runs", status=status)

    async def scenario() -> None:
        finder = finder_of(Refusing([]))
        if is_raised:
            with pytest.raises(NotAuthorized):
                await finder.find(sent())
        else:
            assert (await finder.find(sent())).is_proof is False

    run_virtual(scenario)


def test_runs_of_another_process_are_looked_for_ever_more_seldom() -> None:
    """Soon after the take-over often, and then once a minute."""
    looks: list[float] = []

    class Watched(FakePlatform):
        async def list(self, **_given: object) -> models.RunList:
            looks.append(anyio.current_time())
            return models.RunList.model_validate({"total": 0, "items": []})

    async def scenario() -> None:
        orphans = NoOrphans()
        orphans.took_over_at = NOON
        finder = RunFinder(cast("ApifyClient", Watched([])), cast("Orphans", orphans))
        with anyio.move_on_after(245):
            await finder.watch_for_copies()

    run_virtual(scenario)
    assert looks == [5.0, 15.0, 30.0, 60.0, 120.0, 180.0, 240.0]


def test_input_that_cannot_be_read_at_once_is_asked_for_again() -> None:
    """A run is not another's for a few odd answers, and is taken within some seconds."""

    class Odd(FakePlatform):
        failures = 3

        @asynccontextmanager
        async def stream_record(self, store_id: str, _key: str) -> AsyncIterator[Body]:
            if self.failures:
                self.failures -= 1
                raise NotFound("gone", method="GET", path="/record", status=404)
            yield Body(self.inputs[store_id])

    async def scenario() -> None:
        finder = finder_of(Odd([run_json("mine", None)], inputs={"s-mine": b"{}"}))
        assert (await finder.find(sent())).run is None
        began = anyio.current_time()
        assert (await finder.find_by_input(sent(), b"{}")).id == "mine"
        assert anyio.current_time() - began == pytest.approx(1 + 2 + 4)

    run_virtual(scenario)


def test_run_whose_actor_is_not_known_is_told_by_its_input() -> None:
    """Where the Actor may not be read, nothing tells that a run is of another one."""

    class Unknown(FakePlatform):
        async def get_target(self, _target: Target) -> models.Actor:
            raise NotFound("gone", method="GET", path="/act", status=404)

    async def scenario() -> None:
        finder = finder_of(Unknown([run_json("mine", None)], inputs={"s-mine": b"{}"}))
        assert (await finder.find(sent())).run is None
        assert (await finder.find_by_input(sent(), b"{}")).id == "mine"

    run_virtual(scenario)
