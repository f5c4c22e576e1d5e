"""What the processes of runs use now, read from `/proc`; nothing on systems without it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
# Fields of `/proc/PID/stat` (proc(5)), counted from 0 after the name.
_PARENT, _SESSION, _MEMORY_PAGES = 1, 3, 21
# Of a process in user and kernel mode, and of its children that have ended.
_TIMES = slice(11, 15)
# Of ancestors: the files are read one after the other, so they can even form a circle.
_DEEPEST = 100


@dataclass(slots=True)
class Sample:
    """
    What the processes of one session use.

    Attributes:
        cpu_secs: since each one began.
    """

    cpu_secs: float = 0.0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    session: int
    cpu_secs: float
    memory_bytes: int


def sample_sessions(sessions: Collection[int]) -> dict[int, Sample]:
    """Returns what each of these sessions uses, with the sessions that their processes began."""
    found: dict[int, Sample] = {}
    if not sessions or not _PROC.is_dir():
        return found
    processes = _processes()
    for pid, process in processes.items():
        session = _session(pid, processes, sessions)
        if session is not None:
            sample = found.setdefault(session, Sample())
            sample.cpu_secs += process.cpu_secs
            sample.memory_bytes += process.memory_bytes
    return found


def _processes() -> dict[int, _Process]:
    found: dict[int, _Process] = {}
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            found[int(entry.name)] = _Process(
                parent=int(fields[_PARENT]),
                session=int(fields[_SESSION]),
                cpu_secs=sum(map(int, fields[_TIMES])) / ticks,
                memory_bytes=int(fields[_MEMORY_PAGES]) * page,
            )
    return found


def _session(pid: int, processes: Mapping[int, _Process], sessions: Collection[int]) -> int | None:
    """Returns the session of a process or of its nearest ancestor that has one of these."""
    seen = 0
    while pid in processes and seen < _DEEPEST:
        process = processes[pid]
        if process.session in sessions:
            return process.session
        pid, seen = process.parent, seen + 1
    return None
