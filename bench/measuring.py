"""Runs a command and measures it; starts the platform for all commands."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

TASKS = 8
"""
Jobs are spread over so many tasks, because one task may be started only 400 times a second, and
that limit must not be measured.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """
    What a process used.

    Attributes:
        cpu_secs: user and system time, of all its threads.
        wall_secs: from start to end.
        peak_mbytes: the most memory that it held at once (resident).
        said: its stderr.
    """

    cpu_secs: float
    wall_secs: float
    peak_mbytes: float
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    The address of a platform.

    Attributes:
        tasks: ids of tasks of the simulated Actor.
    """

    url: str
    token: str
    tasks: tuple[str, ...] = ()


# As installed: without bytecode on disk, Python compiles our modules at each start.
ENVIRONMENT = {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}


def measure(
    command: Sequence[str],
    env: dict[str, str] | None = None,
    *,
    cwd: Path | None = None,
    resident: list[float] | None = None,
) -> Taken:
    """
    Runs a command to its end.

    Args:
        resident: receives the memory that it holds, in MB, five times a second; on Linux only.

    Raises:
        RuntimeError: it failed; the message has its stderr.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**ENVIRONMENT, **(env or {})},
        cwd=cwd,
    )
    assert process.stderr is not None
    try:
        with _watched(process.pid, resident):
            said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:  # This process is being ended: so end the measured one too.
        process.kill()
        raise
    finally:
        process.stderr.close()
    if process.returncode:
        raise RuntimeError(
            f"{command[:4]} ended with {process.returncode}: {said.decode()[-2000:]}"
        )
    return Taken(
        cpu_secs=used.ru_utime + used.ru_stime,
        wall_secs=time.perf_counter() - began,
        peak_mbytes=_peak_mbytes(used),
        said=said.decode(),
    )


@contextmanager
def _watched(pid: int, resident: list[float] | None) -> Iterator[None]:
    memory, has_ended = Path(f"/proc/{pid}/statm"), Event()

    def watch(found: list[float]) -> None:
        while memory.exists() and not has_ended.wait(0.2):
            pages = int(memory.read_text().split()[1])
            found.append(pages * resource.getpagesize() / 1024**2)

    if resident is None:
        yield
        return
    watcher = Thread(target=watch, args=(resident,))
    watcher.start()
    try:
        yield
    finally:
        has_ended.set()
        watcher.join()


@contextmanager
def platform(
    data: Path,
    counts: Counter[str] | None = None,
    max_runs: str = "256",
    words: Sequence[str] = (),
) -> Iterator[Place]:
    """
    Serves an emulator in a process of its own.

    Args:
        max_runs: of the account.
        counts: receives, at the end, the number of requests of each kind; None does not count.
        words: more of its command.
    """
    serve = ["orchestrator", "platform", "serve", "--data"]
    module = serve if counts is None else ["bench.counting_platform"]
    command = [sys.executable, "-m", *module, str(data)]
    if counts is not None:
        command.append(max_runs)
    else:
        command += ["--max-runs", max_runs, "--max-memory-mbytes", str(int(max_runs) * 1024)]
        command += words
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        place = place_of(process)
        yield replace(place, tasks=tuple(_make_task(place, number) for number in range(TASKS)))
    finally:
        reported = stop_platform(process)
    if counts is not None:
        counts.update(reported["counts"])


def place_of(process: subprocess.Popen[bytes]) -> Place:
    """The address of a platform that has just started, from its first line."""
    assert process.stdout is not None
    return Place(**json.loads(process.stdout.readline()))


def stop_platform(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Ends a platform and returns its last words; only a counting one has any."""
    process.terminate()
    last_words, _ = process.communicate()
    return dict(json.loads(last_words or b"{}"))


@contextmanager
def workplace() -> Iterator[Path]:
    """
    A folder in memory if possible; nothing in it is deleted before the end.

    On a disk, the deletions of one round would slow down the files of the next.
    """
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def _make_task(place: Place, number: int) -> str:
    headers = {"Authorization": f"Bearer {place.token}", "Content-Type": "application/json"}
    task = {
        "actId": "orchestrator~simulated",
        "name": f"bench-{number}",
        "options": {"memoryMbytes": 128},
    }
    url = f"{place.url}/v2/actor-tasks"
    request = urllib.request.Request(url, json.dumps(task).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - on loopback
        return str(json.load(answer)["data"]["id"])


def _peak_mbytes(used: resource.struct_rusage) -> float:
    # The unit is kilobytes on Linux, bytes on macOS.
    return used.ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024)
