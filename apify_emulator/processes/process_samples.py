"""What the processes of runs use now, read from `/proc`; nothing on systems without it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
# Fields of `/proc/PID/stat` (proc(5)), counted from 0 after the name.
_SESSION, _USER_TIME, _SYSTEM_TIME, _MEMORY_PAGES = 3, 11, 12, 21


@dataclass(slots=True)
class Sample:
    """
    What the processes of one session use.

    Attributes:
        cpu_secs: since each one began.
    """

    cpu_secs: float = 0.0
    memory_bytes: int = 0


def sample_sessions(sessions: Collection[int]) -> dict[int, Sample]:
    """Returns what each of these sessions uses; a process that leaves its session is missing."""
    found: dict[int, Sample] = {}
    if not sessions or not _PROC.is_dir():
        return found
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    for entry in _PROC.iterdir():
        name = entry.name
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            session = int(fields[_SESSION])
            if session in sessions:
                sample = found.setdefault(session, Sample())
                sample.cpu_secs += (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / ticks
                sample.memory_bytes += int(fields[_MEMORY_PAGES]) * page
    return found
