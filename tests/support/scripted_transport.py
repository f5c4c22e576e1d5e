"""A transport that gives prepared answers and records its requests."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import anyio
from multidict import CIMultiDict
from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions, Request

BASE_URL = "https://api.example"
TOKEN = "apify_api_made_up"


@dataclass
class Reply:
    """
    A prepared answer; see `Response`.

    Attributes:
        chunks_: the pieces of its body.
        then: an error that is raised after them, or None.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks_: tuple[bytes, ...] = (b"",)
    then: Exception | None = None

    async def read(self, limit_bytes: int) -> bytes:
        if self.then is not None:
            raise self.then
        body = b"".join(self.chunks_)
        assert len(body) <= limit_bytes
        return body

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks_:
            yield chunk
        if self.then is not None:
            raise self.then


def reply(status: int = 200, body: Any = None, **headers: str) -> Reply:
    """A reply with a JSON body; headers are written with underscores."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    reported = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Reply(status=status, headers=reported, chunks_=(content,))


def refused(status: int, kind: str, message: str = "No.", **headers: str) -> Reply:
    """A refusal, in Apify's format."""
    return reply(status, {"error": {"type": kind, "message": message}}, **headers)


def run_reply(status: int = 200, **fields: Any) -> Reply:
    """A run, in the format of its endpoints."""
    run = {
        "id": "run1",
        "status": "SUCCEEDED",
        "startedAt": "2026-01-02T03:04:05.678Z",
        "defaultDatasetId": "data1",
        "defaultKeyValueStoreId": "store1",
    }
    return reply(status, {"data": run | fields})


@dataclass(frozen=True)
class Asked:
    """A request that was sent, with its time by the loop's clock."""

    at: float
    request: Request

    @property
    def line(self) -> str:
        """Method and path."""
        return f"{self.request.method} {urlsplit(self.request.url).path}"

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded."""
        text = urlsplit(self.request.url).query
        return dict(parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)))


Step = Reply | Exception | Callable[[Request], Reply]


class ScriptedTransport:
    """
    Answers requests in order; the last step answers all further requests.

    Attributes:
        asked: all requests so far.
    """

    def __init__(self, *steps: Step) -> None:
        self.asked: list[Asked] = []
        self._steps = list(steps)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    @asynccontextmanager
    async def send(self, request: Request) -> AsyncIterator[Reply]:
        self.asked.append(Asked(anyio.current_time(), request))
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if isinstance(step, Exception):
            raise step
        yield step if isinstance(step, Reply) else step(request)


def client_of(transport: ScriptedTransport, *, seed: int = 0, **options: Any) -> ApifyClient:
    """
    A client with a token and prepared answers.

    Args:
        seed: of the jitter.
    """
    chosen = ClientOptions(base_url=BASE_URL, token=SecretStr(TOKEN), **options)
    rng = random.Random(seed)  # noqa: S311 - jitter needs no cryptographic randomness
    return ApifyClient(chosen, transport=transport, rng=rng)
