from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast
from urllib.parse import urlsplit

import anyio
import pytest

from orchestrator.apify import Request
from orchestrator.app.account.account_limits import DEFAULT_MAX_RUNS, Room
from orchestrator.app.account.preflight import (
    LIMITS_EVERY_SECS,
    check_before_start,
    keep_limits,
)
from orchestrator.app.setup.settings import Settings
from orchestrator.errors import NotAuthorized, ServerFault, UnknownTarget
from orchestrator.model.batches import BatchPlan
from orchestrator.model.jobs import Demand, Target, TargetKind
from orchestrator.scheduler.decide.limits import Limits
from orchestrator.scheduler.loop import Scheduler
from tests.support.scripted_transport import Reply, ScriptedTransport, client_of, refused, reply
from tests.support.virtual_time import run_virtual

GOOD, BAD = (Target(kind=TargetKind.ACTOR, id=f"me/{name}") for name in ("good", "bad"))
GONE = refused(404, "record-not-found", "Actor was not found.")
FORBIDDEN = refused(403, "insufficient-permissions", "Insufficient permissions.")


def check_targets(
    bad: Reply,
    *targets: Target,
    me: Reply | None = None,
    limits: Reply = FORBIDDEN,
    **given: bool,
) -> Room:
    """Checks the targets on a platform with these answers for `me/bad` and for the account."""

    def answer(request: Request) -> Reply:
        match urlsplit(request.url).path.split("/")[2:]:
            case ["users", "me"]:
                return me or reply(200, {"data": {"id": "user", "username": "me"}})
            case ["users", "me", "limits"]:
                return limits
            case ["acts", "me~bad"]:
                return bad
        return reply(200, {"data": {"id": "act1"}})

    async def use() -> Room:
        async with client_of(ScriptedTransport(answer), away_secs=5.0) as client:
            demands = [Demand(target=target) for target in targets]
            return await check_before_start(client, demands, has_budget=False, **given)

    return run_virtual(use)


@pytest.mark.parametrize("bad", [GONE, FORBIDDEN, refused(400, "x")], ids=["404", "403", "400"])
def test_forbidden_actor_is_named_before_the_first_start(bad: Reply) -> None:
    """If an Actor is missing or refused, the command exits with 2 and names it."""
    with pytest.raises(UnknownTarget, match="me/bad"):
        check_targets(bad, GOOD, BAD)


def test_forbidden_actor_fails_only_its_own_jobs_on_resume() -> None:
    """If other Actors can be used, the refused one is noted with the platform's message."""
    room = check_targets(FORBIDDEN, GOOD, BAD, refuses_missing=False)
    assert room.refused == {BAD: "Insufficient permissions."}
    assert set(room.defaults) == {GOOD}


def test_batch_of_refused_actors_is_resumed_only_to_collect_its_runs() -> None:
    """If no Actor can be used, nothing is started, but live runs are collected."""
    with pytest.raises(UnknownTarget):
        check_targets(FORBIDDEN, BAD, refuses_missing=False)
    assert check_targets(FORBIDDEN, BAD, refuses_missing=False, has_runs=True).refused


@pytest.mark.parametrize("number", [-1, 0, None])
def test_limit_that_is_not_above_zero_is_none(number: int | None) -> None:
    """Of such an account the usual limit of runs holds, and no limit of memory."""
    limits = {"maxConcurrentActorJobs": number, "maxActorMemoryGbytes": number}
    room = check_targets(GONE, GOOD, limits=reply(200, {"data": {"limits": limits}}))
    assert (room.max_runs, room.max_memory_mbytes) == (DEFAULT_MAX_RUNS, None)


def test_refused_token_is_reported_first() -> None:
    """A token that is not valid is the reason that is shown, whatever else fails."""
    with pytest.raises(NotAuthorized):
        check_targets(GONE, BAD, me=refused(401, "user-or-token-not-found"))


@pytest.mark.parametrize("order", [1, -1])
def test_refused_token_reads_the_same_whichever_answer_is_first(order: int) -> None:
    """The error names the same request, though several are refused at the same time."""
    refusal = refused(401, "user-or-token-not-found")

    class Delaying(ScriptedTransport):
        @asynccontextmanager
        async def send(self, request: Request) -> AsyncIterator[Reply]:
            await anyio.sleep(1.0 + order * 0.01 * len(request.url))
            async with super().send(request) as answer:
                yield answer

    async def use() -> None:
        async with client_of(Delaying(refusal)) as client:
            await check_before_start(client, [Demand(target=GOOD)], has_budget=False)

    with pytest.raises(NotAuthorized) as caught:
        run_virtual(use)
    assert caught.value.path == "/v2/users/me"


@pytest.mark.parametrize("me", [FORBIDDEN, GONE, refused(500, "x"), reply(403, b"<html>")])
def test_unreadable_account_does_not_stop_the_command(me: Reply) -> None:
    """A scoped token may not read its user or the limits: that is a warning."""
    assert check_targets(GONE, GOOD, me=me).refused == {}


def test_platform_that_fails_is_not_a_bug() -> None:
    """If every look-up of an Actor fails, the command ends with the platform's error."""
    with pytest.raises(ServerFault):
        check_targets(refused(500, "internal-server-error"), GOOD, BAD)


@pytest.mark.parametrize("odd", [FORBIDDEN, reply(200, {"data": {}})], ids=["refused", "without"])
def test_limits_that_cannot_be_read_again_stay(odd: Reply) -> None:
    """One odd answer in the middle of a batch neither lowers its limits nor lifts them."""
    known = {"maxConcurrentActorJobs": 100, "maxActorMemoryGbytes": 64}
    answers = iter([reply(200, {"data": {"limits": known}}), odd])
    found: list[Limits] = []
    scheduler = SimpleNamespace(jobs_wait=True, set_limits=found.append)

    async def keep() -> None:
        plan = BatchPlan(spec_path="", spec_sha256="")
        async with client_of(ScriptedTransport(lambda _request: next(answers))) as client:
            with anyio.move_on_after(2.5 * LIMITS_EVERY_SECS):
                await keep_limits(client, cast("Scheduler", scheduler), plan, Settings())

    run_virtual(keep)
    assert [(one.max_runs, one.max_memory_mbytes) for one in found] == [(100, 65_536)]
