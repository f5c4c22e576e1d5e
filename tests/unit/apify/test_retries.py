from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from structlog.typing import EventDict

from orchestrator.apify import ApifyClient, Request
from orchestrator.errors import (
    ActorRefused,
    ConnectionLost,
    NotFound,
    PermanentError,
)
from orchestrator.model.ids import DatasetId, StoreId
from tests.support.scripted_transport import (
    TOKEN,
    Reply,
    ScriptedTransport,
    Step,
    refused,
    reply,
    run_reply,
)
from tests.unit.apify.scripted_calls import TRANSIENT, get_run, insist_on_run, unsent, using


@pytest.mark.parametrize("trouble", TRANSIENT.values(), ids=TRANSIENT)
def test_read_is_repeated_until_it_succeeds(trouble: Step) -> None:
    """A read is repeated after every error that may pass."""
    transport = ScriptedTransport(trouble, trouble, run_reply())
    assert using(transport, get_run) == "SUCCEEDED"
    assert len(transport.asked) == 3


def test_read_gives_up_by_time() -> None:
    """A read is repeated for `away_secs` and no longer, with any number of tries."""
    transport = ScriptedTransport(unsent())
    with pytest.raises(ConnectionLost):
        using(transport, get_run, away_secs=600.0)
    assert 500.0 < transport.asked[-1].at < 600.0


def test_poll_continues_after_ten_minutes_without_the_platform() -> None:
    """If the platform is away for ten minutes, a poll continues when it answers again."""

    def away(_: Request) -> Reply:
        if anyio.current_time() < 600.0:
            raise unsent()
        return run_reply()

    assert using(ScriptedTransport(away), get_run) == "SUCCEEDED"


def test_poll_that_a_gateway_ends_is_repeated_with_a_shorter_wait() -> None:
    """A gateway that waits 50 s for an answer loses each poll of 60 s, however often it is sent."""

    class Gateway(ScriptedTransport):
        @asynccontextmanager
        async def send(self, request: Request) -> AsyncIterator[Reply]:
            async with super().send(request) as answer:
                secs = int(self.asked[-1].query.get("waitForFinish", "0"))
                await anyio.sleep(min(secs, 50))
                yield reply(504, b"<html>") if secs > 50 else answer

    transport = Gateway(run_reply())
    assert using(transport, get_run) == "SUCCEEDED"
    assert [asked.query["waitForFinish"] for asked in transport.asked] == ["60", "25"]


def test_poll_that_fails_at_once_is_repeated_unchanged() -> None:
    """That the platform held it was not the reason."""
    transport = ScriptedTransport(refused(503, "x"), run_reply())
    using(transport, get_run)
    assert [asked.query["waitForFinish"] for asked in transport.asked] == ["60", "60"]


@pytest.mark.parametrize("kind", [429, 503])
def test_retry_after_is_obeyed(kind: int) -> None:
    """The next try comes no earlier than the platform asks for."""
    transport = ScriptedTransport(refused(kind, "x", Retry_After="25"), run_reply())
    using(transport, get_run)
    assert transport.asked[1].at >= 25.0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 503])
def test_poll_is_repeated_after_one_refusal(status: int) -> None:
    """One refusal of a poll does not count: the run is requested again."""
    transport = ScriptedTransport(refused(status, "x"), run_reply())
    assert using(transport, insist_on_run) == "SUCCEEDED"


def test_refusal_of_a_poll_counts_after_twenty_seconds() -> None:
    """A poll that stays refused is repeated three times in 20 seconds, and no longer."""
    transport = ScriptedTransport(refused(403, "insufficient-permissions"))
    with pytest.raises(ActorRefused):
        using(transport, insist_on_run)
    assert len(transport.asked) == 4
    assert 20.0 <= transport.asked[-1].at < 25.0


def test_page_never_refuses_a_read() -> None:
    """A page that is not from the API means that the platform is away, whatever its status."""
    page = reply(404, b"<html>not here")
    transport = ScriptedTransport(page, page, page, page, page, run_reply())
    assert using(transport, get_run) == "SUCCEEDED"


def test_missing_output_is_requested_once() -> None:
    """A missing output record is requested once; a listed record is requested four times."""

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
    """A request whose answer cannot change is sent once."""
    transport = ScriptedTransport(refusal)
    with pytest.raises(PermanentError):
        using(transport, get_run)
    assert len(transport.asked) == 1


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
            tasks.start_soon(get_run, client)
            await anyio.sleep(1.0)
            tasks.start_soon(get_run, client)

    using(transport, two)
    assert [asked.at for asked in transport.asked[:1]] == [0.0]
    assert all(asked.at >= 5.0 for asked in transport.asked[1:])


def test_429_without_a_time_delays_others_only_a_little() -> None:
    """The next caller of that resource waits for a lower rate, but not for seconds."""

    def limited(_: Request) -> Reply:
        return refused(429, "x") if anyio.current_time() < 0.1 else run_reply()

    transport = ScriptedTransport(limited)

    async def two(client: ApifyClient) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(get_run, client)
            await anyio.sleep(0.2)
            tasks.start_soon(get_run, client)

    using(transport, two)
    assert min(asked.at for asked in transport.asked[1:]) < 1.0


def test_strict_server_seldom_refuses_requests() -> None:
    """Of 5,000 reads of a resource that allows 60 a second, less than 1% get a 429."""
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
                tasks.start_soon(get_run, client)
        return client.stats.rate_limited

    assert using(transport, many) < 50


def test_stats_count_requests_and_retries() -> None:
    """A client counts how many requests it sent and how many of them were repeats."""
    transport = ScriptedTransport(unsent(), refused(429, "x"), run_reply())

    async def counted(client: ApifyClient) -> tuple[int, int, int]:
        await get_run(client)
        return client.stats.requests, client.stats.retries, client.stats.rate_limited

    assert using(transport, counted) == (3, 2, 1)


def test_repeats_are_logged_without_secrets(logged: list[EventDict]) -> None:
    """The event of each repeat says what failed, and never has the token."""
    transport = ScriptedTransport(unsent(), unsent(), run_reply())
    using(transport, get_run)
    assert [entry["event"] for entry in logged] == ["request_repeated"] * 2
    assert [entry["log_level"] for entry in logged] == ["debug", "warning"]
    assert TOKEN not in str(logged)


def test_jitter_comes_from_the_given_source() -> None:
    """With the same seed, a client pauses in the same way: simulations can be repeated."""

    def times(seed: int) -> list[float]:
        transport = ScriptedTransport(unsent(), unsent(), unsent(), run_reply())

        using(transport, get_run, seed=seed)
        return [asked.at for asked in transport.asked]

    assert times(1) == times(1) != times(2)
