"""
Hides the owner's secrets from the Actors, which run as the same user.

On Linux an Actor could read the arguments, the environment and the memory of the emulator in
`/proc`. The kernel refuses this for a process that is not dumpable, except to root. For root, the
secrets in the original arguments and environment are overwritten too.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterable
from pathlib import Path

_PR_SET_DUMPABLE = 4
_ARGUMENTS_BEGIN, _ENVIRONMENT_ENDS = 45, 48
"""
Fields 48 and 51 of `/proc/self/stat` (proc(5)), counted from 0 after the name.
"""


def hide(secrets: Iterable[str | None]) -> None:
    """
    Hides these secrets and the memory of this process; does nothing on systems other than Linux.

    `os.environ` and `sys.argv` are copies and do not change.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        fields = Path("/proc/self/stat").read_text(errors="replace").rpartition(")")[2].split()
        begin, end = int(fields[_ARGUMENTS_BEGIN]), int(fields[_ENVIRONMENT_ENDS])
        if 0 < begin < end:
            for secret in filter(None, secrets):
                _overwrite(begin, end, secret.encode())


def _overwrite(begin: int, end: int, secret: bytes) -> None:
    shown = ctypes.string_at(begin, end - begin)
    at = shown.find(secret)
    while at >= 0:
        ctypes.memset(begin + at, ord("*"), len(secret))
        at = shown.find(secret, at + len(secret))
