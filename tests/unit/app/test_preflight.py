from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from orchestrator.apify import Request
from orchestrator.app.account.account_limits import Room
from orchestrator.app.account.preflight import check_before_start
from orchestrator.errors import NotAuthorized, ServerFault, UnknownTarget
from orchestrator.model.jobs import Demand, Target, TargetKind
from tests.support.scripted_transport import Reply, ScriptedTransport, client_of, refused, reply
from tests.support.virtual_time import run_virtual

GOOD, BAD = (Target(kind=TargetKind.ACTOR, id=f"me/{name}") for name in ("good", "bad"))
GONE = refused(404, "record-not-found", "Actor was not found.")
FORBIDDEN = refused(403, "insufficient-permissions", "Insufficient permissions.")


def look(bad: Reply, *targets: Target, me: Reply | None = None, **given: bool) -> Room:
    """Looks at a platform that answers a look-up of `me/bad`, and of the account, as told."""

    def answer(request: Request) -> Reply:
        match urlsplit(request.url).path.split("/")[2:]:
            case ["users", "me"]:
                return me or reply(200, {"data": {"id": "user", "username": "me"}})
            case ["users", "me", "limits"]:
                return FORBIDDEN
            case ["acts", "me~bad"]:
                return bad
        return reply(200, {"data": {"id": "act1"}})

    async def use() -> Room:
        async with client_of(ScriptedTransport(answer), away_secs=5.0) as client:
            demands = [Demand(target=target) for target in targets]
            return await check_before_start(client, demands, has_budget=False, **given)

    return run_virtual(use)


@pytest.mark.parametrize("bad", [GONE, FORBIDDEN, refused(400, "x")], ids=["404", "403", "400"])
def test_actor_that_may_not_be_used_is_named_before_anything_starts(bad: Reply) -> None:
    """An Actor that is missing or refused ends the command with 2, which names it."""
    with pytest.raises(UnknownTarget, match="me/bad"):
        look(bad, GOOD, BAD)


def test_actor_that_may_not_be_used_costs_its_own_jobs_when_a_batch_goes_on() -> None:
    """Where others can be used, a refused Actor is noted with the platform's words."""
    room = look(FORBIDDEN, GOOD, BAD, refuses_missing=False)
    assert room.refused == {BAD: "Insufficient permissions."}
    assert set(room.defaults) == {GOOD}


def test_batch_of_refused_actors_goes_on_only_to_collect_its_runs() -> None:
    """When no Actor can be used there is nothing to start, but runs under way are collected."""
    with pytest.raises(UnknownTarget):
        look(FORBIDDEN, BAD, refuses_missing=False)
    assert look(FORBIDDEN, BAD, refuses_missing=False, has_runs=True).refused


def test_refused_token_wins_over_all_else() -> None:
    """A token that is not valid is the reason that is told, whatever else fails."""
    with pytest.raises(NotAuthorized):
        look(GONE, BAD, me=refused(401, "user-or-token-not-found"))


@pytest.mark.parametrize("me", [FORBIDDEN, GONE, refused(500, "x"), reply(403, b"<html>")])
def test_account_that_may_not_be_read_is_no_reason_to_stop(me: Reply) -> None:
    """A scoped token may read neither its user nor the limits: that is a warning."""
    assert look(GONE, GOOD, me=me).refused == {}


def test_platform_that_fails_is_not_a_bug() -> None:
    """An Actor whose look-up fails on all tries ends with the platform's error, in no group."""
    with pytest.raises(ServerFault):
        look(refused(500, "internal-server-error"), GOOD, BAD)
