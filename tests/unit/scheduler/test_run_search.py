from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, cast

import anyio
import pytest

from orchestrator.apify import ApifyClient, models
from orchestrator.errors import NotAuthorized
from orchestrator.model.ids import RunId
from orchestrator.model.jobs import Target, TargetKind
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_list import COSTS_AT_ONCE
from orchestrator.scheduler.run_search import RunFinder
from tests.support.builders import NOON
from tests.support.virtual_time import run_virtual
from tests.unit.scheduler.listed_runs import (
    AGENT,
    TARGET,
    FakePlatform,
    NoOrphans,
    ended,
    finder_of,
    run_json,
    sent,
)


@pytest.mark.parametrize("list_agents", [True, False])
def test_run_is_found_by_its_mark(list_agents: bool) -> None:
    """The mark is read in the list, or in the run itself if the list leaves it out."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("r1", "curl"), run_json("r2", AGENT)], list_agents)
        finder = finder_of(platform)
        assert (await finder.find(sent())).run.id == "r2"
        assert (await finder.find(sent("m.0.1.2"))).run is None

    run_virtual(scenario)


def test_list_is_read_from_the_platforms_time_at_the_intent() -> None:
    """Our clock does not matter: it may have been a day ahead when the start was sent."""

    async def scenario() -> None:
        found = await finder_of(FakePlatform([run_json("r1", AGENT)])).find(sent())
        assert found.run is not None

    run_virtual(scenario)


def test_many_searches_share_a_pass() -> None:
    """A hundred attempts that search at the same time cost two passes, not a hundred."""

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
def test_absence_counts_only_if_the_list_shows_our_runs(
    known: tuple[str, ...], shows: set[str] | None, refuses_own: bool, is_proof: bool
) -> None:
    """A token that sees only a part of the account cannot prove that there is no run."""

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
    """If the account's list hides it, the Actor's own list is read too."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("r1", AGENT)], shows=set())
        look = await finder_of(platform).find(sent())
        assert look.run is not None

    run_virtual(scenario)


def test_pass_shows_what_the_ended_runs_of_the_batch_have_cost() -> None:
    """The cost of a live run, which may end before it is recorded, and other runs do not count."""

    async def scenario() -> None:
        costs = {"mine": 0.25, "other": 9, "live": 0.01}
        listed = [{**run_json(one, "x"), "usageTotalUsd": costs[one]} for one in costs]
        platform = FakePlatform([*map(ended, listed[:2]), listed[2]])
        recorded: dict[RunId, Decimal | None] = {}

        async def record(costs: Mapping[RunId, Decimal | None]) -> None:
            recorded.update(costs)

        assert await finder_of(platform, "mine", "live").read_own_runs(NOON, record)
        assert recorded == {RunId("mine"): Decimal("0.25")}

    run_virtual(scenario)


def test_costs_of_many_runs_are_recorded_some_at_a_time() -> None:
    """Memory stays flat when a batch of a million runs is resumed."""
    sizes: list[int] = []

    async def record(costs: Mapping[RunId, Decimal | None]) -> None:
        sizes.append(len(costs))

    async def scenario() -> None:
        names = [f"r{number}" for number in range(COSTS_AT_ONCE + 1)]
        platform = FakePlatform([ended(run_json(name, "x")) for name in names])
        assert await finder_of(platform, *names).read_own_runs(NOON, record)
        assert sizes == [COSTS_AT_ONCE, 1]

    run_virtual(scenario)


def test_runs_of_other_actors_are_not_read_one_by_one() -> None:
    """If lists leave user agents out, other runs of the account cost no requests."""

    async def scenario() -> None:
        runs = [run_json(f"r{number}", "curl", act_id="act2") for number in range(9)]
        platform = FakePlatform([*runs, run_json("mine", AGENT)], list_agents=False)
        assert (await finder_of(platform).find(sent())).run is not None
        assert platform.reads == 1

    run_virtual(scenario)


def test_reads_of_single_runs_are_limited() -> None:
    """An account with a million runs is not read to the end; the log says so."""
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


def test_pass_that_has_reached_its_limit_of_reads_is_not_a_proof() -> None:
    """One of the runs that were not read may be the one that is searched for."""

    async def scenario() -> None:
        runs = [run_json(f"r{number}", "curl") for number in range(9)]
        platform = FakePlatform([*runs, run_json("mine", AGENT)], False)
        finder = RunFinder(
            cast("ApifyClient", platform), cast("Orphans", NoOrphans()), most_reads=3
        )
        look = await finder.find(sent())
        assert (look.run, look.is_proof) == (None, False)

    run_virtual(scenario)


def test_run_of_an_actor_that_cannot_be_read_is_found() -> None:
    """A token that may not read this Actor, and may read another one, hides no run."""

    class Scoped(FakePlatform):
        targets: ClassVar[list[str]] = []

        async def get_target(self, target: Target) -> models.Actor:
            self.targets.append(target.id)
            if target == TARGET:
                raise NotAuthorized("not yours", method="GET", path="/act", status=403)
            return models.Actor.model_validate({"id": "act2"})

    async def scenario() -> None:
        runs = [run_json(f"r{number}", "curl", act_id="act9") for number in range(5)]
        platform = Scoped([*runs, run_json("mine", AGENT)], list_agents=False)
        other = Target(kind=TargetKind.ACTOR, id="me/other")
        finder = RunFinder(
            cast("ApifyClient", platform), cast("Orphans", NoOrphans()), targets=[other]
        )
        assert (await finder.find(sent())).run is not None
        # Asked for once, and not again for each run of the list.
        assert sorted(platform.targets) == ["me/actor", "me/other"]

    run_virtual(scenario)


def test_claimed_run_is_found_for_no_other_attempt() -> None:
    """A run that belongs to an attempt is neither read again nor given to another one."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("r1", None)], inputs={"s-r1": b"{}"})
        finder = finder_of(platform, "r1")
        assert (await finder.find(sent())).run is None
        assert await finder.find_by_input(sent(), b"{}") is None
        assert platform.reads == 0

    run_virtual(scenario)


def test_pass_with_an_unreadable_run_is_not_a_proof() -> None:
    """The unreadable run may be the one that is searched for, so that its absence is not proven."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("old", "x", secs=1), run_json("r1", None)], False)
        platform.unreadable = {"r1"}
        look = await finder_of(platform, "old").find(sent())
        assert (look.run, look.is_proof) == (None, False)

    run_virtual(scenario)


@pytest.mark.parametrize(("status", "is_raised"), [(401, True), (403, False)])
def test_refused_list_proves_nothing_and_a_refused_token_is_an_error(
    status: int, *, is_raised: bool
) -> None:
    """A token may be allowed to see only a part; a token that is not valid ends the batch."""

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


def test_search_for_runs_of_another_process_backs_off() -> None:
    """They are searched for often after the takeover, then once a minute."""
    passes: list[float] = []

    class Watched(FakePlatform):
        async def list(self, **_given: object) -> models.RunList:
            passes.append(anyio.current_time())
            return models.RunList(0, [])

    async def scenario() -> None:
        orphans = NoOrphans()
        orphans.took_over_at = NOON
        finder = RunFinder(cast("ApifyClient", Watched([])), cast("Orphans", orphans))
        with anyio.move_on_after(245):
            await finder.watch_for_copies()

    run_virtual(scenario)
    assert passes == [5.0, 15.0, 30.0, 60.0, 120.0, 180.0, 240.0]
