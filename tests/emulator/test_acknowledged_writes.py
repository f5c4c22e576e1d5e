"""Eight writers write until the emulator is killed; the next one has all that was acknowledged."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import orjson
import pytest
from pydantic import SecretStr

from tests.emulator.caller import SIMULATED, TOKEN, Caller, calling
from tests.emulator.emulator_command import serving

KILLS = 40 if os.environ.get("ORCHESTRATOR_SOAK") else 2
# How many answers there are before a kill.
ANSWERS = (20, 400)
LIMITS = ("--max-runs", "100000", "--max-memory-mbytes", str(10**9))
_LOG = logging.getLogger(__name__)


class _Writers:
    """
    What eight clients write.

    Attributes:
        acknowledged: items, records, requests and runs whose answer says that they are kept.
    """

    def __init__(self) -> None:
        self.acknowledged: dict[str, list[Any]] = {
            "items": [],
            "records": [],
            "urls": [],
            "runs": [],
        }
        self.count = 0
        self._numbers = iter(range(10**9))

    async def write_until_killed(self, url: str, kill: Callable[[], None], answers: int) -> None:
        """Writes until so many answers are there; kills the emulator and waits for all writers."""
        end = self.count + answers

        async def write(kind: int) -> None:
            with suppress(aiohttp.ClientError):
                while True:
                    await self._write(session, kind)
                    if self.count >= end:
                        kill()

        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession(f"{url}/v2/", headers=headers) as session,
            anyio.create_task_group() as group,
        ):
            for kind in range(8):
                group.start_soon(write, kind)

    async def _write(self, session: aiohttp.ClientSession, kind: int) -> None:
        number = next(self._numbers)
        if kind < 3:
            items = [{"n": number, "part": part} for part in range(kind + 1)]
            await self._send(session.post("datasets/~kills/items", json=items))
            self.acknowledged["items"] += [(number, part) for part in range(kind + 1)]
        elif kind < 5:
            place = f"key-value-stores/~kills/records/key-{number}"
            await self._send(session.put(place, json={"value": number}))
            self.acknowledged["records"].append(number)
        elif kind < 7:
            url = f"http://shop/{number}"
            place = "request-queues/~kills/requests"
            await self._send(session.post(place, json={"url": url, "uniqueKey": url}))
            self.acknowledged["urls"].append(url)
        else:
            # One that ends at once, and one that still runs when the emulator is killed.
            script = {"duration_secs": 600 * (number % 2)}
            body = await self._send(session.post(f"{SIMULATED}/runs", json=script))
            self.acknowledged["runs"].append(orjson.loads(body)["data"]["id"])
        self.count += 1

    async def _send(self, request: Any) -> bytes:
        async with request as answer:
            body: bytes = await answer.read()
            assert answer.status < 300, body
            return body


@pytest.mark.timeout(900)
async def test_kill_under_eight_writers_loses_no_acknowledged_write(tmp_path: Path) -> None:
    """Items, records, requests and runs are kept as soon as their answer is there."""
    chance, writers = random.Random(20), _Writers()  # noqa: S311 - to be repeatable
    async with calling(tmp_path) as call:
        for kind in ("datasets", "key-value-stores", "request-queues"):
            await call("POST", kind, name="kills")
    for _ in range(KILLS):
        with serving(tmp_path, *LIMITS, APIFY_EMULATOR_TOKEN=TOKEN) as (process, url, _):
            await writers.write_until_killed(url, process.kill, chance.randint(*ANSWERS))
    many = {"max_runs": 100_000, "max_memory_mbytes": 10**9, "token": SecretStr(TOKEN)}
    async with calling(tmp_path, **many) as call:
        found = await _kept(call, writers.acknowledged)
    _LOG.info("%d kills, %d acknowledged writes", KILLS, writers.count)
    for kind, acknowledged in writers.acknowledged.items():
        assert set(acknowledged) <= found[kind], kind
        # A write without an answer may be kept or not: at most one of each writer and kill.
        assert len(found[kind]) <= len(acknowledged) + 9 * KILLS
        assert acknowledged


async def _kept(call: Caller, acknowledged: dict[str, list[Any]]) -> dict[str, set[Any]]:
    items = (await call("GET", "datasets/~kills/items")).json()
    assert len(items) == len({(item["n"], item["part"]) for item in items})
    records = set()
    for number in acknowledged["records"]:
        reply = await call("GET", f"key-value-stores/~kills/records/key-{number}")
        records.add(reply.json()["value"])
    requests = (await call("GET", "request-queues/~kills/requests", limit=100_000)).data["items"]
    runs = {run["id"] for run in call.emulator.runs()}
    return {
        "items": {(item["n"], item["part"]) for item in items},
        "records": records,
        "urls": {request["url"] for request in requests},
        "runs": runs,
    }
