"""
How a real run is read from Apify: once, with reads only, so that stand-ins can play it.

The token is sent to the API and is written nowhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote

import aiohttp
import anyio
import orjson
from pydantic import SecretStr

from apify_emulator.actors.pricing import checked_pricing
from apify_emulator.errors import SetupError
from apify_emulator.stand_ins.stand_in_files import StandInRun, StoredValue

API_URL = "https://api.apify.com"
_ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED-OUT", "ABORTED"})
_TRIES = 5
_FIRST_PAUSE_SECS = 0.5
_PAGE_ITEMS = 1000
_SILENCE_SECS = 60.0
_KEPT_DEFINITION = ("title", "description", "defaultRunOptions", "pricingInfos")


class RealRuns:
    """Reads runs of an account."""

    def __init__(self, session: aiohttp.ClientSession, api_url: str) -> None:
        self._session = session
        self._root = f"{api_url.rstrip('/').removesuffix('/v2')}/v2"

    async def run(self, run_id: str) -> dict[str, Any]:
        """
        Returns a run that has ended.

        Raises:
            SetupError: it does not exist, or has not ended.
        """
        run: dict[str, Any] = await self._data(f"actor-runs/{quote(run_id, safe='')}")
        if run["status"] not in _ENDED:
            raise SetupError(f"{run_id}: the run is {run['status']}; record it when it has ended")
        return run

    async def actor(self, run: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Returns the full name of a run's Actor, and further fields of `actor.json`."""
        actor = await self._data(f"actors/{run['actId']}", may_be_missing=True)
        if actor is None:
            return f"recorded/{run['actId']}", {}
        kept = {name: actor[name] for name in _KEPT_DEFINITION if actor.get(name)}
        if not _are_usable(kept.get("pricingInfos", [])):
            del kept["pricingInfos"]
        return f"{actor['username']}/{actor['name']}", kept

    async def schemas(
        self, run: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Returns the input schema and `storages` of a run's build; None for what it lacks."""
        build = await self._data(f"actor-builds/{run.get('buildId')}", may_be_missing=True) or {}
        described = build.get("actorDefinition") or {}
        schema = described.get("input") or build.get("inputSchema")
        if isinstance(schema, str):
            schema = orjson.loads(schema)
        return schema or None, described.get("storages") or None

    async def contents(self, run: dict[str, Any], duration_secs: float | None) -> StandInRun:
        """
        Returns what a run gave.

        Args:
            duration_secs: how long it takes when it is played; None for as long as it took.
        """
        given, records = await self._records(run)
        return StandInRun(
            name=run["id"],
            facts=_facts(run, given, duration_secs),
            items=await self._items(run["defaultDatasetId"]),
            records=records,
            log=await self._bytes(f"logs/{run['id']}", may_be_missing=True) or b"",
        )

    async def _records(self, run: dict[str, Any]) -> tuple[Any, list[StoredValue]]:
        """Returns the input, if it is an object, and all other records."""
        store = f"key-value-stores/{run['defaultKeyValueStoreId']}"
        given, records, after = None, [], ""
        while True:
            page = await self._data(f"{store}/keys?limit=1000&exclusiveStartKey={quote(after)}")
            for entry in page["items"]:
                value = await self._value(store, entry["key"])
                if entry["key"] == "INPUT":
                    given = _object(value.body)
                else:
                    records.append(value)
            if not page.get("isTruncated"):
                return given, records
            after = page["nextExclusiveStartKey"]

    async def _value(self, store: str, key: str) -> StoredValue:
        async with self._answer(f"{store}/records/{quote(key, safe='')}") as answer:
            kind = answer.headers.get("Content-Type", "application/octet-stream")
            return StoredValue(key=key, content_type=kind, body=await answer.read())

    async def _items(self, dataset_id: str) -> list[bytes]:
        items: list[bytes] = []
        while True:
            query = f"format=jsonl&offset={len(items)}&limit={_PAGE_ITEMS}"
            page = await self._bytes(f"datasets/{dataset_id}/items?{query}") or b""
            found = [line for line in page.split(b"\n") if line.strip()]
            items += found
            if len(found) < _PAGE_ITEMS:
                return items

    async def _data(self, path: str, *, may_be_missing: bool = False) -> Any:
        body = await self._bytes(path, may_be_missing=may_be_missing)
        return None if body is None else orjson.loads(body)["data"]

    async def _bytes(self, path: str, *, may_be_missing: bool = False) -> bytes | None:
        async with self._answer(path, may_be_missing=may_be_missing) as answer:
            return None if answer.status >= 400 else await answer.read()

    @asynccontextmanager
    async def _answer(
        self, path: str, *, may_be_missing: bool = False
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        pause = _FIRST_PAUSE_SECS
        for attempt in range(1, _TRIES + 1):
            async with self._session.get(f"{self._root}/{path}") as answer:
                is_missing = may_be_missing and answer.status in (403, 404)
                if answer.status < 400 or is_missing:
                    yield answer
                    return
                if attempt == _TRIES or (answer.status != 429 and answer.status < 500):
                    raise SetupError(await _refused(path, answer))
            await anyio.sleep(pause)
            pause *= 2


@asynccontextmanager
async def real_runs(token: SecretStr, api_url: str) -> AsyncIterator[RealRuns]:
    """
    Gives a reader of real runs.

    Raises:
        SetupError: the API cannot be reached, or refuses a request; the message is one line
            without the token, even if the API quotes it.
    """
    if not api_url.startswith(("https://", "http://")) or "@" in api_url:
        # Not shown: it may hold a password.
        raise SetupError(f"the address of the API is not valid: expected one like {API_URL}")
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=_SILENCE_SECS)
    try:
        # The environment names the proxy of the owner's network, if it has one.
        async with aiohttp.ClientSession(
            headers=headers, timeout=timeout, trust_env=True
        ) as session:
            yield RealRuns(session, api_url)
    except SetupError as problem:
        raise _without(token, str(problem)) from None
    except (aiohttp.ClientError, TimeoutError) as problem:
        reason = str(problem) or type(problem).__name__
        raise _without(token, f"{api_url}: cannot be read: {reason}") from None
    except (KeyError, TypeError, ValueError) as problem:
        said = f"{api_url}: gave an answer that is not Apify's: {problem!r}"
        raise _without(token, said) from None


def _without(token: SecretStr, message: str) -> SetupError:
    line = " ".join(message.replace(token.get_secret_value(), "[secret]").split())
    return SetupError("".join(char if char.isprintable() else "?" for char in line))


def _facts(run: dict[str, Any], given: Any, duration_secs: float | None) -> dict[str, Any]:
    stats = run.get("stats") or {}
    ran = stats.get("runTimeSecs")
    if ran is None:
        ran = _moment(run["finishedAt"]) - _moment(run["startedAt"])
    return {
        "runId": run["id"],
        "recordedFrom": run["startedAt"],
        "input": given,
        "status": run["status"],
        "statusMessage": run.get("statusMessage"),
        "exitCode": run.get("exitCode"),
        "durationSecs": max(ran, 0) if duration_secs is None else duration_secs,
        "costUsd": run.get("usageTotalUsd"),
        "chargedEventCounts": run.get("chargedEventCounts") or {},
    }


def _are_usable(infos: list[Any]) -> bool:
    """Whether the emulator knows these pricings; a stand-in is better without than not at all."""
    try:
        return all(checked_pricing(info, 0.0) for info in infos)
    except (TypeError, ValueError):
        return False


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


async def _refused(path: str, answer: aiohttp.ClientResponse) -> str:
    try:
        message = orjson.loads(await answer.read())["error"]["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = answer.reason
    return f"{path.partition('?')[0]}: refused with {answer.status}: {message}"
