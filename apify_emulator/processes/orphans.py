"""
What runs have left running: processes that outlived their run, or the platform that started them.

A process that leaves its group (`setsid`, a double fork) is still known by the run id in its
environment, so that no other process with a recycled number is ever hit. Its token is worth nothing
by then, but it takes memory and may still do things outside.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

DEATH_SECS = 10.0
"""
How long killed processes are waited for; one that the kernel cannot end yet is left to it.
"""

_PASSES = 10
"""
A process that forks all the time is looked for again so often.
"""

_PROC = Path("/proc")


def kill_orphans(run_ids: Iterable[str]) -> int:
    """
    Kills the processes of these runs; return how many.

    They are dead, not only told to die, when this returns: none writes beside its successor. Where
    the system shows no environments (not Linux), they are left alone: they cannot be told from
    strangers.
    """
    marks = frozenset(map(run_mark, run_ids))
    if not marks or not _PROC.is_dir():
        return 0
    killed = 0
    for _ in range(_PASSES):
        found = _kill(marks)
        killed += found
        if not found:
            break
    return killed


def run_mark(run_id: str) -> bytes:
    """Returns what every process of a run has in its environment."""
    return f"ACTOR_RUN_ID={run_id}".encode()


def environment_of(pid: int) -> list[bytes]:
    """Returns the variables that a process was started with; none where they cannot be seen."""
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        # Gone meanwhile, or somebody else's.
        return []


def parent_of(pid: int) -> int:
    """Returns the process that started another, or has taken it over; -1 where it is gone."""
    try:
        # The name before the last parenthesis may hold anything.
        told = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2]
        return int(told.split()[1])
    except (OSError, ValueError, IndexError):
        return -1


def _kill(marks: frozenset[bytes]) -> int:
    with contextlib.ExitStack() as handles:
        dying = []
        for pid in _others():
            if marks.isdisjoint(environment_of(pid)):
                continue
            with contextlib.suppress(ProcessLookupError, PermissionError):
                handle = os.pidfd_open(pid)
                handles.callback(os.close, handle)
                # Looked at again: the number may have passed to another process meanwhile.
                if not marks.isdisjoint(environment_of(pid)):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    dying.append(handle)
        _await_deaths(dying)
        return len(dying)


def _others() -> Iterator[int]:
    own = os.getpid()
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != own:
            yield int(entry.name)


def _await_deaths(handles: list[int]) -> None:
    """Waits until the processes behind these handles have ended; a handle is readable then."""
    until = time.monotonic() + DEATH_SECS
    for handle in handles:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll(max(0.0, until - time.monotonic()) * 1000)
