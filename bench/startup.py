"""The time of a process from its start to its first request, or to its error message."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.measuring import ENVIRONMENT, workplace

SPEC = """
[batch]
name = "startup"
[[jobs]]
name = "job-{{ n }}"
actor = "me/actor"
input = { n = "{{ n }}" }
matrix = { n = { range = [1, 100] } }
"""

ORCHESTRATOR = ("-m", "orchestrator")
WORDS = {
    "`orchestrator --help`": (*ORCHESTRATOR, "--help"),
    "`orchestrator run --help`": (*ORCHESTRATOR, "run", "--help"),
    "a usage error: `orchestrator run`": (*ORCHESTRATOR, "run"),
    "Python that imports aiohttp and ends, for the machine's speed": ("-c", "import aiohttp"),
}

Times = tuple[float, float]
"""Processor time and time on the clock, in seconds."""


def run(rounds: int) -> str:
    """Starts processes one after the other and returns the figures as Markdown."""
    first: list[Times] = []
    ended: dict[str, list[Times]] = {name: [] for name in WORDS}
    with workplace() as folder:
        (folder / "spec.toml").write_text(SPEC)
        until_request(folder)
        for _ in range(rounds):
            first.append(until_request(folder))
            for name, words in WORDS.items():
                ended[name].append(_until_end(words))
    *_, library = ended.values()
    factors = [statistics.median(a[n] / b[n] for a, b in zip(first, library, strict=True))
               for n in (0, 1)]  # fmt: skip
    rows = {"`orchestrator run`, 100 jobs, until its first request arrives": first, **ended}
    return "\n".join(
        [
            f"Median of {rounds}; all processes take turns.",
            "",
            "| | processor time, s | time, s |",
            "| --- | ---: | ---: |",
            *(
                f"| {name} | {_median(times, 0):.2f} | {_median(times, 1):.2f} |"
                for name, times in rows.items()
            ),
            "",
            f"The first by the last: {factors[0]:.2f} in processor time, {factors[1]:.2f} in time.",
        ]
    )


def _median(times: list[Times], number: int) -> float:
    return statistics.median(both[number] for both in times)


def until_request(folder: Path) -> Times:
    """Times of `orchestrator run spec.toml` in a folder, until its first request arrives."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        variables = {"APIFY_TOKEN": "none-needed", "APIFY_API_BASE_URL": url}
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *ORCHESTRATOR, "run", "spec.toml"],
            cwd=folder,
            env={**ENVIRONMENT, **variables, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            server.settimeout(30)
            connection, _ = server.accept()
            with connection:
                assert connection.recv(1)
                secs = time.perf_counter() - began
        finally:
            process.kill()
            cpu_secs = _wait(process)
        return cpu_secs, secs


def _until_end(words: tuple[str, ...]) -> Times:
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    cpu_secs = _wait(process)
    return cpu_secs, time.perf_counter() - began


def _wait(process: subprocess.Popen[bytes]) -> float:
    """The processor time of a process, which has ended when this returns."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime
