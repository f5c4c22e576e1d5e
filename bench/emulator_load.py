"""What the emulator takes: starts a second, a thousand runs at once, and a run of a small Actor."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import anyio

from bench.measuring import Place, place_of, stop_platform, workplace

STARTS = 3000
CONNECTIONS = 32
RUNS = 1000
RUN_SECS = 20
_PRINTS = 'print("hello")\n'


def run(rounds: int) -> str:
    """Measures all three and returns the figures as Markdown."""
    with workplace() as folder:
        with _serving(folder / "starts", "--max-runs", str(2 * STARTS)) as (place, pid):
            before = _cpu_secs(pid)
            rate, latencies = anyio.run(_starts, place)
            cpu_ms = (_cpu_secs(pid) - before) / len(latencies) * 1000
        with _serving(folder / "runs", "--max-runs", str(2 * RUNS)) as (place, _):
            late, noticed = anyio.run(_at_once, place)
        alone, through = _small_actor(folder, rounds)
    extra = [b - a for a, b in zip(alone, through, strict=True)]
    return "\n".join(
        [
            (
                f"{STARTS:,} starts of simulated runs over {CONNECTIONS} connections; {RUNS:,} "
                f"simulated runs of {RUN_SECS} s at once, each followed by an open poll; an Actor "
                f"that prints a line, alone and through the emulator in turn, {rounds} times."
            ),
            "",
            "| | |",
            "| --- | ---: |",
            f"| starts a second | {rate:.0f} |",
            f"| processor time of the emulator for a start, ms | {cpu_ms:.2f} |",
            _row("a start, median and 99th percentile, ms", latencies),
            _row("a run ends later than planned, median and 99th percentile, ms", late),
            _row("its end is noticed after, median and 99th percentile, ms", noticed),
            f"| the small Actor's process alone, median, s | {statistics.median(alone):.3f} |",
            f"| from its start to its end on the emulator, s | {statistics.median(through):.3f} |",
            f"| more than alone, median of the differences, s | {statistics.median(extra):.3f} |",
        ]
    )


def _row(name: str, values_ms: list[float]) -> str:
    ordered = sorted(values_ms)
    middle, high = (ordered[len(ordered) * percent // 100] for percent in (50, 99))
    return f"| {name} | {middle:.0f}, {high:.0f} |"


@contextmanager
def _serving(data: Path, *words: str) -> Iterator[tuple[Place, int]]:
    """Serves an emulator; gives its address and the id of its process."""
    command = [sys.executable, "-m", "apify_emulator", "serve", "--data", str(data)]
    command += ["--max-memory-mbytes", str(10**9), *words]
    environment = {**os.environ, "XDG_CACHE_HOME": str(data.parent)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    try:
        yield place_of(process), process.pid
    finally:
        stop_platform(process)


def _cpu_secs(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _session(place: Place, connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        f"{place.url}/v2/",
        headers={"Authorization": f"Bearer {place.token}"},
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=None),
    )


async def _start(session: aiohttp.ClientSession) -> dict[str, Any]:
    given = {"duration_secs": RUN_SECS}
    place = "acts/orchestrator~simulated/runs?memory=128"
    async with session.post(place, json=given) as answer:
        started: dict[str, Any] = (await answer.json())["data"]
        return started


async def _starts(place: Place) -> tuple[float, list[float]]:
    """Returns how many runs start each second, and how long a start takes, in milliseconds."""
    latencies: list[float] = []

    async def client() -> None:
        while len(latencies) < STARTS:
            began = time.perf_counter()
            latencies.append(0.0)
            at = len(latencies) - 1
            await _start(session)
            latencies[at] = (time.perf_counter() - began) * 1000

    async with _session(place, CONNECTIONS) as session:
        began = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(CONNECTIONS):
                group.start_soon(client)
        return len(latencies) / (time.perf_counter() - began), latencies


async def _at_once(place: Place) -> tuple[list[float], list[float]]:
    """Returns how late runs end, and how long after that a client knows it, in milliseconds."""
    late: list[float] = []
    noticed: list[float] = []

    async def follow() -> None:
        run = await _start(session)
        while not run["finishedAt"]:
            async with session.get(f"actor-runs/{run['id']}?waitForFinish=60") as answer:
                run = (await answer.json())["data"]
        now = time.time()
        assert run["status"] == "SUCCEEDED", run
        began, ended = (
            datetime.fromisoformat(run[name]).timestamp() for name in ("startedAt", "finishedAt")
        )
        late.append((ended - began - RUN_SECS) * 1000)
        noticed.append((now - ended) * 1000)

    async with _session(place, RUNS) as session, anyio.create_task_group() as group:
        for _ in range(RUNS):
            group.start_soon(follow)
    assert len(late) == RUNS
    return late, noticed


def _small_actor(folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Returns how long the process takes alone, and through the emulator, in seconds."""
    actor = folder / "actors" / "small"
    (actor / ".actor").mkdir(parents=True)
    (actor / ".actor" / "actor.json").write_text('{"actorSpecification": 1, "name": "small"}')
    (actor / "main.py").write_text(_PRINTS)
    alone, through = [], []
    with _serving(folder / "data", "--actors", str(folder / "actors")) as (place, _):
        _run_actor(place)
        python = next((folder / "orchestrator" / "actor-envs").glob("python-*/bin/python"))
        for _ in range(rounds):
            began = time.perf_counter()
            words = [str(python), "main.py"]
            subprocess.run(words, cwd=actor, check=True, stdout=subprocess.DEVNULL)
            alone.append(time.perf_counter() - began)
            began = time.perf_counter()
            _run_actor(place)
            through.append(time.perf_counter() - began)
    return alone, through


def _run_actor(place: Place) -> None:
    request = urllib.request.Request(  # noqa: S310 - on loopback
        f"{place.url}/v2/acts/local~small/runs?waitForFinish=60",
        method="POST",
        headers={"Authorization": f"Bearer {place.token}"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - on loopback
        assert json.load(answer)["data"]["status"] == "SUCCEEDED"
