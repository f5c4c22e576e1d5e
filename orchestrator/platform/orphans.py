"""
What a platform that was killed has left running.

An orphan's token is worth nothing to the next platform, but it still takes memory and may still do
things outside. It is known by the run id in its environment, so that no other process with a
recycled number is ever hit.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")


def kill_orphans(run_ids: Iterable[str], pids: Iterable[int]) -> int:
    """
    Kill the processes of these runs that an earlier platform has left; return how many.

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
    killed = 0
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        pid = int(entry.name)
        if not marks.isdisjoint(_environment(entry)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if pid in groups and os.getpgid(pid) == pid:
                    os.killpg(pid, signal.SIGKILL)
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def _environment(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        # Gone meanwhile, or somebody else's.
        return []
