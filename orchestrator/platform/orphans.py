"""
What a platform that was killed has left running.

An orphan's token is worth nothing to the next platform, but it still takes memory and may still do
things outside. It is known by the run id in its environment, so that no other process with a
recycled number is ever hit.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable
from pathlib import Path

DEATH_SECS = 10.0
"""
How long killed processes are waited for; one that the kernel cannot end yet is left to it.
"""

_PROC = Path("/proc")


def kill_orphans(run_ids: Iterable[str], pids: Iterable[int]) -> int:
    """
    Kill the processes of these runs that an earlier platform has left; return how many.

    They are dead, not only told to die, when this returns: none writes beside its successor.

    Where the system shows no environments (not Linux), `pids` are left alone too: they cannot be
    told from strangers.

    Args:
        run_ids: runs that have not ended.
        pids: the process groups that the journal has for them.
    """
    marks = {f"ACTOR_RUN_ID={run_id}".encode() for run_id in run_ids}
    if not marks or not _PROC.is_dir():
        return 0
    groups = set(pids)
    with contextlib.ExitStack() as handles:
        dying = []
        for entry in _PROC.iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            pid = int(entry.name)
            if not marks.isdisjoint(_environment(entry)):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    handle = os.pidfd_open(pid)
                    handles.callback(os.close, handle)
                    if pid in groups and os.getpgid(pid) == pid:
                        os.killpg(pid, signal.SIGKILL)
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    dying.append(handle)
        _await_deaths(dying)
        return len(dying)


def _await_deaths(handles: list[int]) -> None:
    """
    Wait until the processes behind these handles have ended; a handle is readable then.
    """
    until = time.monotonic() + DEATH_SECS
    for handle in handles:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll(max(0.0, until - time.monotonic()) * 1000)


def _environment(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        # Gone meanwhile, or somebody else's.
        return []
