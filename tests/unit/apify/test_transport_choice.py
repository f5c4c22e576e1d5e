from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import ClientRequest, StreamReader, TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import StreamWriter
from structlog.typing import EventDict

from orchestrator.apify.http.direct_transport import DirectTransport
from orchestrator.apify.http.session_transport import SessionTransport
from orchestrator.apify.http.transport_choice import direct_transport_works, real_transport

ROOT = "http://platform.invalid"


@pytest.fixture(autouse=True)
def _first_choice(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test chooses anew, as a new process does."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    direct_transport_works.cache_clear()
    yield
    direct_transport_works.cache_clear()


def _warnings(logged: list[EventDict]) -> list[str]:
    return [entry["event"] for entry in logged if entry["log_level"] == "warning"]


def test_transport_is_the_direct_transport(logged: list[EventDict]) -> None:
    """With the pinned aiohttp, requests use the fast transport, without a warning."""
    assert isinstance(real_transport(ROOT), DirectTransport)
    assert _warnings(logged) == []


def test_transport_is_the_session_for_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy, requests use aiohttp's session."""
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    assert isinstance(real_transport(ROOT), SessionTransport)


def _without_parameter(self: object, *, skip_payload: bool, read_timeout: float | None) -> None:
    """As if aiohttp had removed parameters."""


async def _other_arguments(self: object, request: ClientRequest) -> None:
    """As if aiohttp needed other arguments."""


async def _never(self: object) -> Any:
    """As if aiohttp gave no answer."""
    raise ValueError("no answer")


def _nothing(self: object, *_: object) -> None:
    """As if aiohttp did nothing here."""


@pytest.mark.parametrize(
    ("part", "name", "changed"),
    [
        (ResponseHandler, "set_response_params", _without_parameter),
        (ResponseHandler, "start_timeout", None),
        (ResponseHandler, "is_connected", None),
        (ResponseHandler, "read", _never),
        (ResponseHandler, "abort", _nothing),
        (StreamReader, "is_eof", None),
        (StreamReader, "total_bytes", None),
        (StreamReader, "set_exception", _nothing),
        (StreamWriter, "drain", None),
        (StreamWriter, "write", _never),
        (ClientRequest, "__init__", _other_arguments),
        (TCPConnector, "connect", _other_arguments),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_session_takes_over_with_one_warning_when_a_part_of_aiohttp_changed(
    part: type[object],
    name: str,
    changed: object,
    monkeypatch: pytest.MonkeyPatch,
    logged: list[EventDict],
) -> None:
    """An untested version of aiohttp makes requests slower and causes no error."""
    if changed is None:
        removed = property(lambda _: (_ for _ in ()).throw(AttributeError(name)))
        monkeypatch.setattr(part, name, removed)
    else:
        monkeypatch.setattr(part, name, changed)
    transports = [real_transport(ROOT) for _ in range(3)]
    assert all(isinstance(transport, SessionTransport) for transport in transports)
    assert _warnings(logged) == ["direct_transport_not_usable"]


def test_session_takes_over_when_a_module_of_aiohttp_is_gone(
    monkeypatch: pytest.MonkeyPatch, logged: list[EventDict]
) -> None:
    """A module that was removed does not end the command."""
    folder = "orchestrator.apify.http"
    for name in ("direct_transport", "direct_transport_probe"):
        monkeypatch.delitem(sys.modules, f"{folder}.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "aiohttp.client_proto", None)
    assert isinstance(real_transport(ROOT), SessionTransport)
    assert _warnings(logged) == ["direct_transport_not_usable"]
