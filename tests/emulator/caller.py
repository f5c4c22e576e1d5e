"""A plain HTTP client, so that the tests see what is on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
from pydantic import SecretStr

from apify_emulator import Emulator, EmulatorOptions
from tests.support.openapi import watched_emulator

if TYPE_CHECKING:
    from apify_client import ApifyClientAsync

TOKEN = "test-token"
SIMULATED = "actors/orchestrator~simulated"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)

    @property
    def data(self) -> Any:
        """The content of the envelope."""
        return self.json()["data"]

    @property
    def error(self) -> tuple[int, str]:
        """Status and type of a refusal."""
        return self.status, self.json()["error"]["type"]

    @property
    def lines(self) -> list[Any]:
        """The body as JSON Lines."""
        return [orjson.loads(line) for line in self.body.splitlines()]


def official_client(emulator: Emulator, **options: Any) -> ApifyClientAsync:
    """Apify's own client, with the token of an emulator."""
    # Here, because the import takes half a second.
    from apify_client import ApifyClientAsync

    token, url = emulator.token.get_secret_value(), emulator.url
    return ApifyClientAsync(token, api_url=url, api_public_url=url, **options)


class Caller:
    """Calls one emulator with the account's token."""

    def __init__(self, emulator: Emulator, session: aiohttp.ClientSession) -> None:
        self.emulator = emulator
        self.session = session

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Reply:
        """Sends a request to a path below `/v2`."""
        sent = dict(headers or {})
        if json is not None:
            body = orjson.dumps(json)
            sent.setdefault("Content-Type", "application/json")
        params = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in query.items()
        }
        url = f"{self.emulator.url}/v2/{path}"
        data = None if body is None else BytesIO(body)
        async with self.session.request(
            method, url, data=data, headers=sent, params=params
        ) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def start(self, script: dict[str, Any] | None = None, **query: Any) -> dict[str, Any]:
        """Starts a simulated run and returns it."""
        reply = await self("POST", f"{SIMULATED}/runs", json=script or {}, **query)
        assert reply.status == 201, reply.body
        run: dict[str, Any] = reply.data
        return run

    async def wait(self, run: dict[str, Any]) -> dict[str, Any]:
        """Waits for the end of a run and returns it."""
        ended: dict[str, Any] = (
            await self("GET", f"actor-runs/{run['id']}", waitForFinish=60)
        ).data
        return ended

    async def finish(self, script: dict[str, Any] | None = None, **query: Any) -> dict[str, Any]:
        """Starts a simulated run, waits for its end and returns it."""
        return await self.wait(await self.start(script, **query))


@asynccontextmanager
async def calling(data_dir: Path, **options: Any) -> AsyncIterator[Caller]:
    """Serves an emulator on a folder and gives its caller."""
    options.setdefault("token", SecretStr(TOKEN))
    async with (
        watched_emulator(EmulatorOptions(data_dir=data_dir, **options)) as emulator,
        aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {emulator.token.get_secret_value()}"}
        ) as session,
    ):
        yield Caller(emulator, session)
