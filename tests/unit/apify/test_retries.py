from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import pytest
from structlog.typing import EventDict

from orchestrator.apify import ApifyClient, Request
from orchestrator.errors import (
    ActorRefused,
    ConnectionLost,
    InputRejected,
    NoRoom,
    NotFound,
    PermanentError,
    PlatformError,
    RateLimited,
    RequestTimeout,
    RunFailed,
    ServerFault,
    StartUnconfirmed,
    TruncatedBody,
)
from orchestrator.model.ids import DatasetId, RunId, StoreId
from orchestrator.model.jobs import Target, TargetKind
from tests.support.scripted_transport import (
    TOKEN,
    Reply,
    ScriptedTransport,
    Step,
    client_of,
    refused,
    reply,
    run_reply,
)
from tests.support.virtual_time import run_virtual

T = TypeVar("T")
ACTOR = Target(kind=TargetKind.ACTOR, id="a/b")
TASK = Target(kind=TargetKind.TASK, id="a/b")


def unsent(message: str = "refused") -> ConnectionLost:
    error = ConnectionLost(message)
    error.had_no_effect = True
    return error


def using(
    transport: ScriptedTransport, call: Callable[[ApifyClient], Awaitable[T]], **options: Any
) -> T:
    async def use() -> T:
        async with client_of(transport, **options) as client:
            return await call(client)

    return run_virtual(use)


async def start(client: ApifyClient) -> str:
    return (await client.runs.start(ACTOR, body=b"{}")).id


async def sync(client: ApifyClient) -> bytes:
    async with client.runs.run_sync(TASK) as download:
        return await download.read()


async def look(client: ApifyClient) -> str:
    return (await client.runs.get(RunId("run1"), wait_secs=60)).status


async def insist(client: ApifyClient) -> str:
    return (await client.runs.get(RunId("run1"), wait_secs=60, insist=True)).status


PASSING: dict[str, Step] = {
    "503": refused(503, "x"),
    "502 with a page": reply(502, b"<html>"),
    "429": refused(429, "rate-limit-exceeded"),
    "408": refused(408, "x"),
    "no connection": unsent(),
    "reset": ConnectionLost("reset"),
    "silence": RequestTimeout("silent"),
    "a page instead of JSON": reply(200, b"<html>"),
    "half an answer": Reply(chunks_=(b'{"data": {"id"',), then=TruncatedBody("cut")),
}


@pytest.mark.parametrize("trouble", PASSING.values(), ids=PASSING)
def test_read_is_repeated_until_it_succeeds(trouble: Step) -> None:
    """A read goes on through every trouble that may pass."""
    transport = ScriptedTransport(trouble, trouble, run_reply())
    assert using(transport, look) == "SUCCEEDED"
    assert len(transport.asked) == 3


def test_read_gives_up_by_time() -> None:
    """A read is repeated for `away_secs` and no longer, however many tries that makes."""
    transport = ScriptedTransport(unsent())
    with pytest.raises(ConnectionLost):
        using(transport, look, away_secs=600.0)
    assert 500.0 < transport.asked[-1].at < 600.0


def test_platform_away_for_ten_minutes_costs_nothing() -> None:
    """A poll that finds the platform away for ten minutes goes on when it is back."""

    def away(_: Request) -> Reply:
        if anyio.current_time() < 600.0:
            raise unsent()
        return run_reply()

    assert using(ScriptedTransport(away), look) == "SUCCEEDED"


@pytest.mark.parametrize("kind", [429, 503])
def test_retry_after_is_obeyed(kind: int) -> None:
    """The next try comes no earlier than the platform asked for."""
    transport = ScriptedTransport(refused(kind, "x", Retry_After="25"), run_reply())
    using(transport, look)
    assert transport.asked[1].at >= 25.0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 503])
def test_odd_answer_among_polls_is_asked_again(status: int) -> None:
    """One refusal of a poll does not count: the run is asked for again."""
    transport = ScriptedTransport(refused(status, "x"), run_reply())
    assert using(transport, insist) == "SUCCEEDED"


def test_refusal_of_a_poll_counts_after_twenty_seconds() -> None:
    """A poll that stays refused is asked again three times over twenty seconds, and no longer."""
    transport = ScriptedTransport(refused(403, "insufficient-permissions"))
    with pytest.raises(ActorRefused):
        using(transport, insist)
    assert len(transport.asked) == 4
    assert 20.0 <= transport.asked[-1].at < 25.0


def test_page_never_refuses_a_read() -> None:
    """A page that is not from the API is the platform being away, whatever its status."""
    page = reply(404, b"<html>not here")
    transport = ScriptedTransport(page, page, page, page, page, run_reply())
    assert using(transport, look) == "SUCCEEDED"


def test_missing_output_is_believed_at_once() -> None:
    """A run without an output record is not asked for it four times; a listed record is."""

    def asked_for(*, is_listed: bool) -> int:
        transport = ScriptedTransport(refused(404, "record-not-found"))

        async def fetch(client: ApifyClient) -> None:
            async with client.storages.stream_record(StoreId("s"), "OUTPUT", is_listed=is_listed):
                pass

        with pytest.raises(NotFound):
            using(transport, fetch)
        return len(transport.asked)

    assert (asked_for(is_listed=False), asked_for(is_listed=True)) == (1, 4)


@pytest.mark.parametrize(
    "refusal",
    [refused(404, "record-not-found"), refused(400, "invalid-value"), refused(402, "x")],
    ids=["404", "400", "402"],
)
def test_clear_refusal_is_not_repeated(refusal: Reply) -> None:
    """What will not change by asking again is asked once."""
    transport = ScriptedTransport(refusal)
    with pytest.raises(PermanentError):
        using(transport, look)
    assert len(transport.asked) == 1


UNCLEAR: dict[str, Step] = {
    "500": refused(500, "internal-server-error"),
    "502 with a page": reply(502, b"<html>"),
    "408": refused(408, "x"),
    "reset": ConnectionLost("reset"),
    "silence": RequestTimeout("silent"),
    "a page instead of a run": reply(201, b"<html>"),
    "half a run": Reply(status=201, chunks_=(b'{"data"',), then=TruncatedBody("cut")),
    "a run without id": reply(201, {"data": {}}),
    "400 with a page": reply(400, b"<html>"),
    "404 with a page": reply(404, b"<html>"),
    "413 with a page": reply(413, b"<html>"),
    "402 with a page": reply(402, b"<html>"),
    "429 with a page": reply(429, b"<html>"),
    "empty 425": reply(425, b""),
    "empty 302": reply(302, b""),
    "empty 304": reply(304, b""),
    "redirect": reply(307, b"", Location="https://other.example/"),
    "409 with an empty object": reply(409, {}),
    "418 with text": reply(418, b"teapot"),
    "500 for a full account": refused(500, "concurrent-runs-limit-exceeded"),
    "error object without type": reply(400, {"error": {"message": "No."}}),
    "failed run": refused(400, "run-failed"),
    "broken socket": refused(400, "socket-closed"),
}


@pytest.mark.parametrize("trouble", UNCLEAR.values(), ids=UNCLEAR)
def test_start_with_a_lost_answer_is_unconfirmed(trouble: Step) -> None:
    """A start that may have had its effect says so and is not sent again."""
    transport = ScriptedTransport(trouble, run_reply(201))
    with pytest.raises(StartUnconfirmed):
        using(transport, start)
    assert len(transport.asked) == 1


@pytest.mark.parametrize(
    "harmless", [refused(429, "rate-limit-exceeded"), unsent()], ids=["429", "no connection"]
)
def test_start_without_effect_is_sent_again(harmless: Step) -> None:
    """A start is repeated when it certainly did nothing."""
    transport = ScriptedTransport(harmless, harmless, run_reply(201))
    assert using(transport, start) == "run1"


@pytest.mark.parametrize(
    ("harmless", "error"),
    [(refused(429, "rate-limit-exceeded"), RateLimited), (unsent(), ConnectionLost)],
    ids=["429", "no connection"],
)
def test_start_keeps_its_deadline_over_all_sends(
    harmless: Step, error: type[PlatformError]
) -> None:
    """No send of a start begins after its deadline, so that the search for its run can end."""
    transport = ScriptedTransport(harmless)
    with pytest.raises(error):
        using(transport, start, start_deadline_secs=30.0)
    assert transport.asked[-1].at < 30.0
    for asked in transport.asked:
        assert asked.request.deadlines.whole is not None
        assert asked.at + asked.request.deadlines.whole <= 30.02


def test_wait_of_a_start_is_added_to_its_deadline() -> None:
    """The time that the platform was asked to hold a start does not count as lateness."""
    transport = ScriptedTransport(run_reply(201))
    using(transport, lambda client: client.runs.start(ACTOR, wait_secs=60))
    assert transport.asked[0].request.deadlines.whole == 90.0


def test_start_that_would_wait_too_long_for_its_turn_is_not_sent() -> None:
    """When more starts wait than the rate limit lets through in time, the last ones say so."""
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
def test_refused_start_is_told_at_once(refusal: Reply, error: type[PlatformError]) -> None:
    """A start that the platform refuses is neither repeated nor unclear."""
    transport = ScriptedTransport(refusal)
    with pytest.raises(error):
        using(transport, start)
    assert len(transport.asked) == 1


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        *[(trouble, StartUnconfirmed) for trouble in list(UNCLEAR.values())[:5]],
        (refused(429, "rate-limit-exceeded"), RateLimited),
        (unsent(), ConnectionLost),
        (refused(400, "run-failed"), RunFailed),
        (reply(302, b"", Location="/elsewhere"), StartUnconfirmed),
    ],
    ids=[*list(UNCLEAR)[:5], "429", "no connection", "run failed", "redirect"],
)
def test_sync_start_is_sent_once_whatever_happens(
    trouble: Step, error: type[PlatformError]
) -> None:
    """A GET that starts a run is never sent a second time, not even after a refusal."""
    transport = ScriptedTransport(trouble, reply(201, b"output"))
    with pytest.raises(error):
        using(transport, sync)
    assert [asked.line for asked in transport.asked] == ["GET /v2/actor-tasks/a~b/run-sync"]


def test_sync_start_that_is_never_answered_ends_unconfirmed() -> None:
    """A synchronous start that is held for ever is unconfirmed after its deadline."""

    class Silent(ScriptedTransport):
        def send(self, request: Request) -> Any:
            return anyio_sleeps_for_ever(self, request)

    transport = Silent(run_reply())
    with pytest.raises(StartUnconfirmed, match="not answered in time"):
        using(transport, sync)


def anyio_sleeps_for_ever(transport: ScriptedTransport, request: Request) -> Any:
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


def test_redirect_of_a_read_does_not_carry_the_token_elsewhere() -> None:
    """A record on another host is fetched without the token."""
    transport = ScriptedTransport(
        reply(302, b"", Location="https://bucket.example/record?signature=x"), reply(200, b"data")
    )

    async def fetch(client: ApifyClient) -> bytes:
        async with client.storages.stream_record(StoreId("s"), "OUTPUT") as download:
            return await download.read()

    assert using(transport, fetch) == b"data"
    here, there = (asked.request.headers for asked in transport.asked)
    assert here["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in there


def test_redirect_whose_signature_has_expired_is_asked_for_anew() -> None:
    """The platform signs a new address; the storage's refusal is not that of the platform."""
    expired = reply(403, b"<?xml version='1.0'?><Error>Request has expired</Error>")
    transport = ScriptedTransport(
        reply(302, b"", Location="https://bucket.example/record?signature=old"),
        expired,
        reply(302, b"", Location="https://bucket.example/record?signature=new"),
        reply(200, b"data"),
    )

    async def fetch(client: ApifyClient) -> bytes:
        async with client.storages.stream_record(StoreId("s"), "OUTPUT") as download:
            return await download.read()

    assert using(transport, fetch) == b"data"
    assert "signature=new" in transport.asked[-1].request.url


def test_redirect_on_the_same_host_keeps_the_token() -> None:
    """A redirect within the platform is followed as one of its own."""
    transport = ScriptedTransport(reply(308, b"", Location="/v2/elsewhere"), run_reply())
    using(transport, look)
    assert transport.asked[1].line == "GET /v2/elsewhere"
    assert "Authorization" in transport.asked[1].request.headers


@pytest.mark.parametrize("location", ["http://api.example/x", "ftp://api.example/x", ""])
def test_redirect_to_somewhere_unsafe_is_not_followed(location: str) -> None:
    """A redirect from https to plain http, to another scheme or to nowhere is an error."""
    transport = ScriptedTransport(reply(302, b"", Location=location))
    with pytest.raises(ServerFault, match="redirects"):
        using(transport, look, away_secs=0.0)


def test_redirects_in_circles_end() -> None:
    """A platform that redirects for ever is given up."""
    transport = ScriptedTransport(reply(302, b"", Location="/again"))
    with pytest.raises(ServerFault, match="circles"):
        using(transport, look, away_secs=0.0)


def test_page_instead_of_items_is_repeated() -> None:
    """A gateway's page is not taken for a dataset."""
    transport = ScriptedTransport(
        reply(200, b"<html>", Content_Type="text/html"),
        reply(200, b'{"a":1}\n', X_Apify_Pagination_Total="1"),
    )

    async def fetch(client: ApifyClient) -> tuple[int | None, bytes]:
        async with client.storages.stream_items(DatasetId("d")) as download:
            return download.total, await download.read()

    assert using(transport, fetch) == (1, b'{"a":1}\n')


def test_429_slows_the_resource_for_all_callers() -> None:
    """One caller's 429 is a pause for every caller of that resource."""

    def limited(_: Request) -> Reply:
        early = anyio.current_time() < 5.0
        return refused(429, "x", Retry_After="5") if early else run_reply()

    transport = ScriptedTransport(limited)

    async def two(client: ApifyClient) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look, client)
            await anyio.sleep(1.0)
            tasks.start_soon(look, client)

    using(transport, two)
    assert [asked.at for asked in transport.asked[:1]] == [0.0]
    assert all(asked.at >= 5.0 for asked in transport.asked[1:])


def test_429_that_names_no_time_delays_others_only_a_little() -> None:
    """The next caller of that resource waits for its turn at a lower rate, and not for seconds."""

    def limited(_: Request) -> Reply:
        return refused(429, "x") if anyio.current_time() < 0.1 else run_reply()

    transport = ScriptedTransport(limited)

    async def two(client: ApifyClient) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look, client)
            await anyio.sleep(0.2)
            tasks.start_soon(look, client)

    using(transport, two)
    assert min(asked.at for asked in transport.asked[1:]) < 1.0


def test_requests_to_a_strict_server_are_seldom_refused() -> None:
    """Of 5,000 reads of a resource that allows 60 a second, less than 1 % get a 429."""
    seen: list[float] = []

    def strict(_: Request) -> Reply:
        now = anyio.current_time()
        if sum(at > now - 1.0 for at in seen[-60:]) >= 60:
            return refused(429, "rate-limit-exceeded")
        seen.append(now)
        return run_reply()

    transport = ScriptedTransport(strict)

    async def many(client: ApifyClient) -> int:
        async with anyio.create_task_group() as tasks:
            for _ in range(5000):
                tasks.start_soon(look, client)
        return client.stats.rate_limited

    assert using(transport, many) < 50


def test_stats_count_requests_and_retries() -> None:
    """A client tells how many requests it sent and how many of them were repeats."""
    transport = ScriptedTransport(unsent(), refused(429, "x"), run_reply())

    async def counted(client: ApifyClient) -> tuple[int, int, int]:
        await look(client)
        return client.stats.requests, client.stats.retries, client.stats.rate_limited

    assert using(transport, counted) == (3, 2, 1)


def test_repeats_are_logged_without_secrets(logged: list[EventDict]) -> None:
    """Each repeat leaves an event that tells what went wrong, and never the token."""
    transport = ScriptedTransport(unsent(), unsent(), run_reply())
    using(transport, look)
    assert [entry["event"] for entry in logged] == ["request_repeated"] * 2
    assert [entry["log_level"] for entry in logged] == ["debug", "warning"]
    assert TOKEN not in str(logged)


def test_jitter_comes_from_the_given_source() -> None:
    """With the same seed, a client pauses in the same way: simulations can be repeated."""

    def times(seed: int) -> list[float]:
        transport = ScriptedTransport(unsent(), unsent(), unsent(), run_reply())

        using(transport, look, seed=seed)
        return [asked.at for asked in transport.asked]

    assert times(1) == times(1) != times(2)
