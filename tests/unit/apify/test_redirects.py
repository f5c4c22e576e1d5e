"""Which redirects a client follows, and with which headers."""

from __future__ import annotations

import pytest

from orchestrator.apify import ApifyClient
from orchestrator.errors import (
    ServerFault,
)
from orchestrator.model.ids import StoreId
from tests.support.scripted_transport import (
    TOKEN,
    ScriptedTransport,
    reply,
    run_reply,
)
from tests.unit.apify.scripted_calls import get_run, using


def test_redirect_to_another_host_has_no_token() -> None:
    """A record on another host is downloaded without the token."""
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


def test_expired_redirect_is_requested_again() -> None:
    """The platform signs a new address; the storage's refusal is not the platform's."""
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
    """A redirect within the platform is followed with the token."""
    transport = ScriptedTransport(reply(308, b"", Location="/v2/elsewhere"), run_reply())
    using(transport, get_run)
    assert transport.asked[1].line == "GET /v2/elsewhere"
    assert "Authorization" in transport.asked[1].request.headers


@pytest.mark.parametrize("location", ["http://api.example/x", "ftp://api.example/x", ""])
def test_unsafe_redirect_is_not_followed(location: str) -> None:
    """A redirect from https to plain http, to another scheme or without an address is an error."""
    transport = ScriptedTransport(reply(302, b"", Location=location))
    with pytest.raises(ServerFault, match="redirects"):
        using(transport, get_run, away_secs=0.0)


def test_endless_redirects_are_an_error() -> None:
    """A platform that redirects without end is an error."""
    transport = ScriptedTransport(reply(302, b"", Location="/again"))
    with pytest.raises(ServerFault, match="circles"):
        using(transport, get_run, away_secs=0.0)
