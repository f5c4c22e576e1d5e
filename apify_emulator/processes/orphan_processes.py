"""
Orphans: processes that outlive their run, or the emulator that started them.

The run id in its environment identifies a process, also when it has left its process group
(`setsid`, a double fork). So another process with a reused number is never killed. The token of an
orphan is no longer valid, but an orphan uses memory and can still act outside the emulator.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

KILL_WAIT_SECS = 10.0
"""
How long to wait for killed processes; the kernel may take longer to end one.
"""

_PASSES = 10
"""
How many times to search, because a process can fork while it is being killed.
"""

_PROC = Path("/proc")


def kill_orphans(run_ids: Iterable[str]) -> int:
    """
    Kills the processes of these runs; returns how many.

    They have ended when this returns, so that none writes beside its successor. It does nothing on
    systems other than Linux, which do not show the environment of a process.
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
    """Returns the variable that every process of a run has in its environment."""
    return f"ACTOR_RUN_ID={run_id}".encode()


def environment_of(pid: int) -> list[bytes]:
    """Returns the variables that a process was started with; none if they are not readable."""
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        # The process has ended, or belongs to another user.
        return []


def parent_of(pid: int) -> int:
    """Returns the parent of a process; -1 if the process has ended."""
    try:
        # The name before the last parenthesis can contain anything.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2]
        return int(fields.split()[1])
    except (OSError, ValueError, IndexError):
        return -1


def _kill(marks: frozenset[bytes]) -> int:
    with contextlib.ExitStack() as handles:
        killed_handles = []
        for pid in _others():
            if marks.isdisjoint(environment_of(pid)):
                continue
            with contextlib.suppress(ProcessLookupError, PermissionError):
                handle = os.pidfd_open(pid)
                handles.callback(os.close, handle)
                # Checked again, because another process may have the number by now.
                if not marks.isdisjoint(environment_of(pid)):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    killed_handles.append(handle)
        _wait_for_ends(killed_handles)
        return len(killed_handles)


def _others() -> Iterator[int]:
    own = os.getpid()
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != own:
            yield int(entry.name)


def _wait_for_ends(handles: list[int]) -> None:
    """Waits until the processes of these handles have ended; a handle is readable then."""
    until = time.monotonic() + KILL_WAIT_SECS
    for handle in handles:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll(max(0.0, until - time.monotonic()) * 1000)
