"""
A platform in memory, below the real client, on virtual time and driven by one seed.

It loses answers before and after their effect, lets effects happen late, refuses, stalls, cuts
bodies off, and shows new runs late in its lists. What it started is the oracle: it counts runs
itself and knows nothing of ledgers.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import anyio
from multidict import CIMultiDict

from orchestrator.client import Request
from orchestrator.errors import ConnectionLost, RequestTimeout, TruncatedBody
from tests.support.scripted_transport import Reply, reply

EPOCH = datetime(2026, 11, 25, tzinfo=UTC)
LONGEST_LATE_SECS = 25.0
LONGEST_LAG_SECS = 12.0


def wall_clock() -> datetime:
    """The wall clock of a simulation: it goes with the loop's own."""
    return EPOCH + timedelta(seconds=anyio.current_time())


@dataclass
class SimRun:
    """
    One run; times are in seconds on the loop's clock.
    """

    id: str
    agent: str
    begins: float
    ends: float
    outcome: str
    items: int
    listed_from: float
    body: bytes

    def is_live(self, now: float) -> bool:
        return self.begins <= now < self.ends

    def to_json(self, now: float) -> dict[str, Any]:
        is_over = now >= self.ends
        return {
            "id": self.id,
            "actId": "actor",
            "userId": "user",
            "startedAt": _stamp(self.begins),
            "finishedAt": _stamp(self.ends) if is_over else None,
            "status": self.outcome if is_over else "RUNNING",
            "exitCode": (0 if self.outcome == "SUCCEEDED" else 1) if is_over else None,
            "meta": {"origin": "API", "userAgent": self.agent},
            "buildId": "build",
            "defaultDatasetId": f"d-{self.id}",
            "defaultKeyValueStoreId": f"s-{self.id}",
            "defaultRequestQueueId": f"q-{self.id}",
            "usageTotalUsd": 0.001,
        }


@dataclass
class SimPlatform:
    """
    The platform and, for the client, the transport to it.

    Attributes:
        trouble: the share of requests to which something happens.
        most_live: the most runs that were ever going at once.
    """

    seed: int
    trouble: float = 0.15
    runs: dict[str, SimRun] = field(default_factory=dict)
    most_live: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - to be repeatable

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing is open."""

    @asynccontextmanager
    async def send(self, request: Request) -> AsyncIterator[Reply]:
        """Answers a request, or what is left of the answer after some trouble."""
        await anyio.sleep(self._chance.uniform(0.005, 0.1))
        trouble = self._chance.choice(TROUBLES) if self._chance.random() < self.trouble else None
        match trouble:
            case "reset-before":
                raise ConnectionLost("reset")
            case "refused":
                lost = ConnectionLost("no connection")
                lost.sent = False
                raise lost
            case "429":
                yield reply(429, {"error": {"type": "rate-limit-exceeded", "message": "slow"}})
                return
            case "502-before":
                yield Reply(status=502, headers=CIMultiDict(), chunks_=(b"<html>bad</html>",))
                return
        answer = await self._answer(request, late=trouble == "late")
        match trouble:
            case "reset-after":
                raise ConnectionLost("reset")
            case "502-after":
                yield Reply(status=502, headers=CIMultiDict(), chunks_=(b"",))
            case "stall" | "late":
                await anyio.sleep(request.deadlines.whole or request.deadlines.silence)
                raise RequestTimeout("silent")
            case "cut":
                (body,) = answer.chunks_
                half = body[: self._chance.randrange(len(body) + 1)]
                yield Reply(answer.status, answer.headers, (half,), TruncatedBody("cut"))
            case _:
                yield answer

    async def _answer(self, request: Request, *, late: bool) -> Reply:
        now = anyio.current_time()
        parts = urlsplit(request.url)
        path, query = parts.path.split("/")[2:], parse_qs(parts.query)
        match request.method, path:
            case "POST", ["acts", _, "runs"]:
                delay = self._chance.uniform(0, LONGEST_LATE_SECS) if late else 0.0
                return self._start(request, now + delay)
            case "GET", ["actor-runs"]:
                return self._list(query, now)
            case "GET", ["actor-runs", run_id]:
                run = self.runs[run_id]
                wait = float(query.get("waitForFinish", ["0"])[0])
                await anyio.sleep(max(0.0, min(wait, run.ends - now)))
                return reply(200, {"data": run.to_json(anyio.current_time())})
            case "GET", ["datasets", dataset_id, "items"]:
                return self._items(self.runs[dataset_id[2:]], query)
        raise AssertionError(f"nobody asks for {request.method} {path}")

    def _start(self, request: Request, begins: float) -> Reply:
        given = json.loads(request.body or b"{}")
        run = SimRun(
            id=f"r{len(self.runs)}",
            agent=request.headers["User-Agent"],
            begins=begins,
            ends=begins + given["secs"],
            outcome=given["outcomes"].pop(0) if given["outcomes"] else "SUCCEEDED",
            items=given["items"],
            listed_from=begins + self._chance.uniform(0, LONGEST_LAG_SECS),
            body=request.body or b"",
        )
        self.runs[run.id] = run
        live = sum(other.is_live(begins) for other in self.runs.values())
        self.most_live = max(self.most_live, live)
        return reply(201, {"data": run.to_json(anyio.current_time())})

    def _list(self, query: dict[str, list[str]], now: float) -> Reply:
        after = datetime.fromisoformat(query["startedAfter"][0])
        found = [
            run.to_json(now)
            for run in self.runs.values()
            if run.listed_from <= now and EPOCH + timedelta(seconds=run.begins) >= after
        ]
        page = found[int(query.get("offset", ["0"])[0]) :][:1000]
        return reply(200, {"data": {"total": len(found), "items": page, "count": len(page)}})

    def _items(self, run: SimRun, query: dict[str, list[str]]) -> Reply:
        offset = int(query.get("offset", ["0"])[0])
        lines = b"".join(b'{"i":%d}\n' % number for number in range(offset, run.items))
        headers = CIMultiDict({"X-Apify-Pagination-Total": str(run.items)})
        return Reply(200, headers, (lines,))


TROUBLES = (
    "reset-before",
    "reset-after",
    "refused",
    "429",
    "502-before",
    "502-after",
    "stall",
    "late",
    "cut",
)


def _stamp(secs: float) -> str:
    moment = EPOCH + timedelta(seconds=secs)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
