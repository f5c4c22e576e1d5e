"""When a start is repeated, refused or unconfirmed."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from orchestrator.apify import ApifyClient, Request
from orchestrator.errors import (
    ActorRefused,
    Conflict,
    ConnectionLost,
    InputRejected,
    NoRoom,
    NotFound,
    PlatformError,
    RateLimited,
    RunFailed,
    StartUnconfirmed,
)
from tests.support.scripted_transport import (
    Reply,
    ScriptedTransport,
    Step,
    refused,
    reply,
    run_reply,
)
from tests.unit.apify.scripted_calls import ACTOR, UNCONFIRMED, start, sync, unsent, using


@pytest.mark.parametrize("trouble", UNCONFIRMED.values(), ids=UNCONFIRMED)
def test_start_with_a_lost_answer_is_unconfirmed(trouble: Step) -> None:
    """A start that may have had an effect is unconfirmed and is not sent again."""
    transport = ScriptedTransport(trouble, run_reply(201))
    with pytest.raises(StartUnconfirmed):
        using(transport, start)
    assert len(transport.asked) == 1


@pytest.mark.parametrize(
    "harmless",
    [refused(429, "rate-limit-exceeded"), refused(409, "new-type"), unsent()],
    ids=["429", "409", "no connection"],
)
def test_start_without_effect_is_sent_again(harmless: Step) -> None:
    """A start is repeated if it certainly had no effect."""
    transport = ScriptedTransport(harmless, harmless, run_reply(201))
    assert using(transport, start) == "run1"


@pytest.mark.parametrize(
    ("harmless", "error"),
    [
        (refused(429, "rate-limit-exceeded"), RateLimited),
        (refused(423, "new-type"), Conflict),
        (unsent(), ConnectionLost),
    ],
    ids=["429", "423", "no connection"],
)
def test_deadline_of_a_start_holds_for_all_sends(
    harmless: Step, error: type[PlatformError]
) -> None:
    """No send begins after the deadline of a start, so that the search for its run can end."""
    transport = ScriptedTransport(harmless)
    with pytest.raises(error):
        using(transport, start, start_deadline_secs=30.0)
    assert transport.asked[-1].at < 30.0
    for asked in transport.asked:
        assert asked.request.deadlines.whole is not None
        assert asked.at + asked.request.deadlines.whole <= 30.02


def test_start_is_not_sent_after_the_process_was_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped while it waits to repeat a refused start, it has lost its lease when it wakes."""
    transport = ScriptedTransport(refused(429, "rate-limit-exceeded"), run_reply(201))
    sleep = anyio.sleep
    monkeypatch.setattr(anyio, "sleep", lambda secs: sleep(secs + 100))
    with pytest.raises(RateLimited):
        using(transport, start, start_deadline_secs=30.0)
    assert len(transport.asked) == 1


def test_start_that_runs_out_of_time_says_what_kept_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """When its deadline passes in a pause, the error is why it was repeated."""
    transport = ScriptedTransport(unsent("no connection"), run_reply(201))
    sleep = anyio.sleep
    monkeypatch.setattr(anyio, "sleep", lambda secs: sleep(secs + 100))
    with pytest.raises(ConnectionLost, match="no connection"):
        using(transport, start, start_deadline_secs=30.0)
    assert len(transport.asked) == 1


def test_wait_of_a_start_is_added_to_its_deadline() -> None:
    """The time that the platform was asked to hold a start does not count as late."""
    transport = ScriptedTransport(run_reply(201))
    using(transport, lambda client: client.runs.start(ACTOR, wait_secs=60))
    assert transport.asked[0].request.deadlines.whole == 90.0


def test_start_that_would_wait_beyond_its_deadline_is_not_sent() -> None:
    """If more starts wait than the rate limit allows in time, the last ones are refused."""
    transport = ScriptedTransport(run_reply(201, id="r"))
    outcomes: list[str] = []

    async def one(client: ApifyClient) -> None:
        try:
            await client.runs.start(ACTOR)
        except RateLimited as error:
            outcomes.append(str(error))
        else:
            outcomes.append("started")

    async def many(client: ApifyClient) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(1500):
                tasks.start_soon(one, client)

    using(transport, many, start_deadline_secs=3.0)
    started = outcomes.count("started")
    assert len(transport.asked) == started
    assert 1100 < started < 1200
    assert "not sent" in next(outcome for outcome in outcomes if outcome != "started")


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (refused(402, "actor-memory-limit-exceeded"), NoRoom),
        (refused(400, "invalid-input"), InputRejected),
        (refused(404, "actor-not-found"), NotFound),
        (refused(403, "actor-is-not-rented"), ActorRefused),
    ],
    ids=["no room", "bad input", "no Actor", "not rented"],
)
def test_refused_start_is_an_error_at_once(refusal: Reply, error: type[PlatformError]) -> None:
    """A start that the platform refuses is neither repeated nor unconfirmed."""
    transport = ScriptedTransport(refusal)
    with pytest.raises(error):
        using(transport, start)
    assert len(transport.asked) == 1


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        *[(trouble, StartUnconfirmed) for trouble in list(UNCONFIRMED.values())[:5]],
        (refused(429, "rate-limit-exceeded"), RateLimited),
        (unsent(), ConnectionLost),
        (refused(400, "run-failed"), RunFailed),
        (reply(302, b"", Location="/elsewhere"), StartUnconfirmed),
    ],
    ids=[*list(UNCONFIRMED)[:5], "429", "no connection", "run failed", "redirect"],
)
def test_sync_start_is_sent_once(trouble: Step, error: type[PlatformError]) -> None:
    """A GET that starts a run is never sent a second time, not even after a refusal."""
    transport = ScriptedTransport(trouble, reply(201, b"output"))
    with pytest.raises(error):
        using(transport, sync)
    assert [asked.line for asked in transport.asked] == ["GET /v2/actor-tasks/a~b/run-sync"]


def test_sync_start_that_is_never_answered_ends_unconfirmed() -> None:
    """A synchronous start that never gets an answer is unconfirmed after its deadline."""

    class Silent(ScriptedTransport):
        def send(self, request: Request) -> Any:
            return sleep_forever(self, request)

    transport = Silent(run_reply())
    with pytest.raises(StartUnconfirmed, match="not answered in time"):
        using(transport, sync)


def sleep_forever(transport: ScriptedTransport, request: Request) -> Any:
    class Held:
        async def __aenter__(self) -> None:
            await anyio.sleep_forever()

        async def __aexit__(self, *exc: object) -> None:
            return None

    return Held()


def test_missing_output_is_no_data() -> None:
    """A synchronous run without an output record gives an empty body."""
    transport = ScriptedTransport(reply(204, b""))
    assert using(transport, sync) == b""
