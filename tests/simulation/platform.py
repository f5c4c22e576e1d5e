"""
A platform in memory, below the real client, on virtual time and driven by one seed.

It loses answers before and after their effect, delays effects, refuses, stalls and cuts bodies off.
It shows new runs, items and their counts late, and its clock differs from ours. It is the oracle of
the tests: it counts runs, memory and pools itself, and knows no ledger.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from multidict import CIMultiDict

from orchestrator.apify import Request
from orchestrator.errors import ConnectionLost, RequestTimeout, TruncatedBody
from orchestrator.loop_clock import loop_time
from tests.simulation.conditions import CAP_USD, EPOCH, PLAIN, Conditions
from tests.simulation.simulated_run import (
    Allowed,
    Life,
    Shown,
    SimRun,
    asked_for,
    date_header,
    output_of,
    stamp,
)
from tests.simulation.unexpected_answers import (
    ODD_AFTER,
    ODD_BEFORE,
    odd_after,
    odd_before,
    refusal_of,
)
from tests.support.scripted_transport import Reply, refused, reply

LONGEST_LATE_SECS = 25.0
LONGEST_LAG_SECS = 12.0
LONGEST_COUNT_LAG_SECS = 9.99
LONGEST_HOLD_SECS = 300.0
RATE_WINDOW_SECS = 58.0
OF_A_TASK: dict[str, Any] = {"secs": 3.0, "items": 2, "outcomes": [], "memory": 1024}
"""What a task does that is started without an input."""


class TooLong(BaseException):
    """The simulation does not end in time; the product must not handle this as an error."""


@dataclass
class SimPlatform:
    """
    The platform, of which a transport asks for answers.

    Attributes:
        trouble: the share of requests with a fault.
        violations: the invariants that did not hold.
        is_recorded: whether a run is recorded durably by the process that follows it.
        conditions: the conditions of the simulation.
        budget_usd: what all runs may cost.
        longest_secs: a request after so long ends the simulation as a failed one.
    """

    seed: int
    trouble: float = 0.15
    allowed: Allowed = field(default_factory=Allowed)
    runs: dict[str, SimRun] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    is_recorded: Callable[[str], bool] = lambda _run_id: True
    conditions: Conditions = PLAIN

    def __post_init__(self) -> None:
        self.budget_usd = math.inf
        self.longest_secs = math.inf
        self._chance = random.Random(self.seed)  # noqa: S311 - to be repeatable
        self._ahead_secs = self._chance.choice([0.0, 0.0, -900.0, 900.0])
        self._others = self._windows()
        self._inputs: dict[str, bytes] = {}

    async def answer(self, request: Request) -> Reply:
        """
        Answers a request, with a fault or without.

        Raises:
            TooLong: so late that a wait was too long.
        """
        self._check_time()
        await asyncio.sleep(self._chance.uniform(0.005, 0.1))
        trouble = self._chance.choice(TROUBLES) if self._chance.random() < self.trouble else None
        odd = refusal_of(request) or odd_before(trouble, request, self._chance)
        if odd is not None:
            return odd
        match trouble:
            case "reset-before":
                raise ConnectionLost("reset")
            case "refused":
                lost = ConnectionLost("no connection")
                lost.had_no_effect = True
                raise lost
            case "429":
                return refused(429, "rate-limit-exceeded")
            case "502-before":
                return Reply(status=502, headers=CIMultiDict(), chunks_=(b"<html>bad</html>",))
        answer = await self._answer(request, trouble)
        answer = odd_after(trouble, request, answer, self._chance, self._first_runs)
        match trouble:
            case "reset-after":
                raise ConnectionLost("reset")
            case "502-after":
                return Reply(status=502, headers=CIMultiDict(), chunks_=(b"",))
            case "stall" | "late":
                await asyncio.sleep(request.deadlines.whole or request.deadlines.silence)
                raise RequestTimeout("silent")
            case "cut":
                (body,) = answer.chunks_
                half = body[: self._chance.randrange(len(body) + 1)]
                return Reply(answer.status, answer.headers, (half,), TruncatedBody("cut"))
            case _:
                clock = self._clock(loop_time()).replace(microsecond=0)
                headers = CIMultiDict(answer.headers, Date=date_header(clock))
                return Reply(answer.status, headers, answer.chunks_)

    def _check_time(self) -> None:
        # Not by a timer: one more would change the order of others.
        if loop_time() > self.longest_secs:
            raise TooLong("no wait is too long")

    def do_later(self, request: Request, begins: float) -> None:
        """Starts or resurrects a run, without an answer."""
        path, _ = asked_for(request.url)
        if refusal_of(request) is not None:
            return
        if path[-1] == "resurrect":
            self._resurrect(self.runs[path[-2]], request, begins)
        else:
            self._start(request, begins)

    def check_limits(self) -> None:
        """Checks the limits of the whole simulation: at each start, all that was live then."""
        for run in self.runs.values():
            self._check_at(run.begins)
        self._check_rate()

    def hold(self, holds: bool, invariant: str) -> None:
        """Records a violation if an invariant does not hold."""
        if not holds:
            self.violations.append(invariant)

    async def _answer(  # noqa: C901 - a case for each endpoint
        self, request: Request, trouble: str | None
    ) -> Reply:
        now = loop_time()
        path, query = asked_for(request.url)
        delay = self._chance.uniform(0, LONGEST_LATE_SECS) if trouble == "late" else 0.0
        match request.method, path:
            case "POST", [_, _, "runs"] if self._is_full(now) and not delay:
                return refused(402, "concurrent-runs-limit-exceeded")
            case "POST", [_, _, "runs"]:
                run = self._start(request, now + delay)
                return self._answer_of(run, now, 201)
            case _, [_, _, "run-sync" | "run-sync-get-dataset-items" as kind]:
                run = self._start(request, now + delay)
                return await self._held(run, kind, is_lost=trouble is not None)
            case "GET", ["actor-runs"] if self.conditions.account_list == "refused":
                return refused(403, "insufficient-permissions")
            case "GET", ["actor-runs"]:
                return self._list(query, now)
            case "GET", ["acts", _]:
                return reply(200, {"data": {"id": "actor"}})
            case "GET", ["actor-tasks", _]:
                return reply(200, {"data": {"id": "task", "actId": "actor"}})
            case "GET", [kind, name, "runs"]:
                return self._list(query, now, of=f"{kind}/{name}")
            case "GET", ["actor-runs", run_id]:
                run = self.runs[run_id]
                wait = float(query.get("waitForFinish", ["0"])[0])
                if wait:
                    self.hold(self.is_recorded(run_id), f"durable before followed: {run_id}")
                await asyncio.sleep(max(0.0, min(wait, run.life(now).ends - now)))
                return self._answer_of(run, loop_time())
            case "POST", ["actor-runs", run_id, "abort"]:
                run = self.runs[run_id]
                run.lives[-1].ends, run.lives[-1].outcome = min(run.ends, now), "ABORTED"
                run.shown.clear()
                return self._answer_of(run, now)
            case "POST", ["actor-runs", run_id, "resurrect"]:
                run = self.runs[run_id]
                self._resurrect(run, request, now + delay)
                return self._answer_of(run, now + delay)
            case "GET", ["datasets", dataset_id, "items"]:
                return self._items(self.runs[dataset_id[2:]], query, now)
            case "GET", ["key-value-stores", store_id, "records", "INPUT"]:
                return Reply(200, CIMultiDict(), (self._inputs[store_id[2:]],))
            case "GET", ["key-value-stores", store_id, "records", "OUTPUT"]:
                return output_of(self.runs[store_id[2:]])
        raise AssertionError(f"nobody asks for {request.method} {path}")

    def _start(self, request: Request, begins: float) -> SimRun:
        given = json.loads(request.body) if request.body else OF_A_TASK
        path, query = asked_for(request.url)
        agent = request.headers["User-Agent"]
        number = int(agent.rpartition("(attempt ")[2].split(".")[2])
        outcomes = [*given["outcomes"], *["SUCCEEDED"] * 9]
        ends = begins + given["secs"]
        run = SimRun(
            id=f"r{len(self.runs)}",
            agent=agent,
            lives=[Life(begins, ends, outcomes[number - 1])],
            outcomes=outcomes,
            secs=given["secs"],
            items=given["items"],
            memory_mbytes=given["memory"],
            is_in_shop=bool(given.get("shop")),
            listed_from=begins + self._chance.uniform(0, LONGEST_LAG_SECS),
            counted_from=ends + self._chance.uniform(0, LONGEST_COUNT_LAG_SECS),
            lags=self._chance.choice(["items", "count", "items and count"]),
            target="/".join(path[:2]),
            begins_at=self._clock(begins),
            asked_at=loop_time(),
            cost_usd=given.get("cost", 0.2),
        )
        cap = query.get("maxTotalChargeUsd")
        self.hold(cap == (["1"] if self.conditions.has_budget else None), f"cap is sent: {cap}")
        other_start = [other.id for other in self.runs.values() if other.attempt == run.attempt]
        self.hold(
            not other_start, f"one run per attempt: {run.mark} has {other_start} and {run.id}"
        )
        self.runs[run.id] = run
        self._inputs[run.id] = request.body or b""
        self._check_at(begins)
        return run

    def _resurrect(self, run: SimRun, request: Request, begins: float) -> None:
        number = int(request.headers["User-Agent"].rpartition("(attempt ")[2].split(".")[2])
        self.hold(len(run.lives) == number - 1, f"resurrected once an attempt: {run.id}")
        self.hold(not run.is_live(begins), f"only an ended run is resurrected: {run.id}")
        run.lives.append(Life(begins, begins + run.secs, run.outcomes[number - 1]))
        run.shown.clear()
        run.counted_from = run.ends + self._chance.uniform(0, LONGEST_COUNT_LAG_SECS)
        self._check_at(begins)

    def _windows(self) -> list[tuple[float, float]]:
        """When other programs use the rest of the account."""
        starts = [self._chance.uniform(0, 300) for _ in range(self._chance.choice([0, 0, 3]))]
        return [(start, start + self._chance.uniform(5, 60)) for start in starts]

    def _is_full(self, now: float) -> bool:
        return any(start <= now < end for start, end in self._others)

    async def _held(self, run: SimRun, kind: str, *, is_lost: bool) -> Reply:
        """The answer of a synchronous start; a lost one is lost at any time until its end."""
        wait = min(run.ends - loop_time(), LONGEST_HOLD_SECS)
        await asyncio.sleep(wait * self._chance.random() if is_lost else wait)
        if loop_time() < run.ends:
            return refused(408, "run-timeout-exceeded")
        if run.lives[-1].outcome != "SUCCEEDED":
            return refused(400, "run-failed")
        if kind == "run-sync":
            return Reply(201, output_of(run).headers, output_of(run).chunks_)
        return self._items(run, {}, loop_time())

    def _list(self, query: dict[str, list[str]], now: float, of: str | None = None) -> Reply:
        after = datetime.fromisoformat(query.get("startedAfter", ["2000-01-01T00:00Z"])[0])
        shows_all = of is None and self.conditions.account_list == "all"
        found = [
            run
            for run in self.runs.values()
            if run.listed_from <= now
            and run.begins_at >= after
            and (shows_all or (self._shows(run) if of is None else of == run.target))
        ]
        if "desc" in query:
            found.reverse()
        rows = self.conditions.page(found, int(query.get("offset", ["0"])[0]))
        items = ", ".join([self._text(run, now, in_list=True) for run in rows])
        text = f'{{"data": {{"total": {len(found)}, "items": [{items}], "count": {len(rows)}}}}}'
        return reply(200, text.encode())

    def _items(self, run: SimRun, query: dict[str, list[str]], now: float) -> Reply:
        """A dataset; for a while after its run, its count, its items or both are incomplete."""
        offset = int(query.get("offset", ["0"])[0])
        is_settled = now >= run.counted_from
        given = run.items // 2 if "items" in run.lags and not is_settled else run.items
        count = run.items // 2 if "count" in run.lags and not is_settled else run.items
        end = min(given, offset + int(query["limit"][0])) if "limit" in query else given
        lines = b"".join(b'{"i":%d}\n' % number for number in range(offset, end))
        return Reply(200, CIMultiDict({"X-Apify-Pagination-Total": str(count)}), (lines,))

    def _first_runs(self) -> list[dict[str, Any]]:
        """Those that an unexpected answer to a start may name."""
        # Without user agents, the run of a lost start cannot be distinguished from another one.
        named = list(self.runs.values())[:9] if self.conditions.tells_agents else []
        return [self._to_json(run, 0.0) for run in named]

    def _answer_of(self, run: SimRun, now: float, status: int = 200) -> Reply:
        return reply(status, f'{{"data": {self._text(run, now)}}}'.encode())

    def _text(self, run: SimRun, now: float, *, in_list: bool = False) -> str:
        """A run as JSON, which is written anew only when something of it has changed."""
        shown = run.shown.get(in_list)
        if shown is None or not shown.since <= now < shown.until:
            written = self._to_json(run, now)
            if in_list and not self.conditions.lists_agents:
                written["meta"].pop("userAgent", None)
            until = run.unchanged_until(now, self.conditions.cost_lag_secs)
            shown = run.shown[in_list] = Shown(now, until, json.dumps(written))
        return shown.text

    def _to_json(self, run: SimRun, now: float) -> dict[str, Any]:
        life = run.life(now)
        is_over = now >= life.ends
        return {
            "id": run.id,
            "actId": "actor",
            "actorTaskId": "task" if run.target.startswith("actor-tasks") else None,
            "userId": "user",
            "startedAt": stamp(run.begins_at),
            "finishedAt": stamp(self._clock(life.ends)) if is_over else None,
            "status": life.outcome if is_over else "RUNNING",
            "exitCode": (0 if life.outcome == "SUCCEEDED" else 1) if is_over else None,
            "stats": {"resurrectCount": run.lives.index(life)},
            "meta": {"origin": "API"} | self._agent(run),
            "options": {"memoryMbytes": run.memory_mbytes},
            "buildId": "build",
            "defaultDatasetId": f"d-{run.id}",
            "defaultKeyValueStoreId": f"s-{run.id}",
            "defaultRequestQueueId": f"q-{run.id}",
            "usageTotalUsd": self._reported_usd(run, now),
        }

    def _agent(self, run: SimRun) -> dict[str, str]:
        return {"userAgent": run.agent} if self.conditions.tells_agents else {}

    def _shows(self, run: SimRun) -> bool:
        """Whether the account's list shows a run to this token, if it does not show all."""
        return run.target.startswith(self.conditions.account_list)

    def _reported_usd(self, run: SimRun, now: float) -> float:
        lag = self.conditions.cost_lag_secs
        if now < run.lives[0].ends + lag:
            return 0
        if len(run.lives) == 1:
            return round(run.cost_usd, 6)
        return round(sum([run.cost_usd for life in run.lives if life.ends + lag <= now]), 6)

    def _clock(self, now: float) -> datetime:
        return EPOCH + timedelta(seconds=now + self._ahead_secs)

    def _check_at(self, moment: float) -> None:
        live = [run for run in self.runs.values() if run.is_live(moment)]
        memory = sum(run.memory_mbytes for run in live)
        shop = sum(run.is_in_shop for run in live)
        self.hold(len(live) <= self.allowed.runs, f"limits: {len(live)} runs at once")
        self.hold(memory <= self.allowed.memory_mbytes, f"limits: {memory} MB at once")
        self.hold(shop <= self.allowed.shop_runs, f"limits: {shop} runs of a pool at once")
        self._check_money(moment)

    def _check_money(self, moment: float) -> None:
        """A run that has ended counts with its cost, a live run with its cap."""
        if self.budget_usd == math.inf:
            return
        usd = sum(
            run.cost_usd if life.ends <= moment else CAP_USD
            for run in self.runs.values()
            for life in run.lives
            if life.begins <= moment
        )
        self.hold(usd <= self.budget_usd + 1e-6, f"budget: {usd} of {self.budget_usd}")

    def _check_rate(self) -> None:
        """A start is received a moment after its intent, which is what counts."""
        most = self.conditions.shop_starts_per_minute
        if most is None:
            return
        asked = sorted(run.asked_at for run in self.runs.values() if run.is_in_shop)
        for first, later in zip(asked, asked[most:], strict=False):
            self.hold(later - first > RATE_WINDOW_SECS, f"rate: {most + 1} starts from {first}")


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
    *ODD_BEFORE,
    *ODD_AFTER,
)
