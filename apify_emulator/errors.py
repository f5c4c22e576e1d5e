"""
Every error that the emulator raises for its user, and the exit code of each one.

    EmulatorError ...................  2  correct the command, the Actors or the data folder
    ├─ SetupError                         an Actor, a task, a fault file or the data folder
    │  └─ BuildFailed                     the environment of one Actor
    ├─ AddressUnavailable                 the address to listen on
    └─ DataFolderInUse ..............  4  another process uses the data folder

The refusals that the API answers with are in `refusals`.
"""

from __future__ import annotations

import errno

DISK_FULL = "the disk is full: make room, then start the emulator again, and its runs continue"


class EmulatorError(Exception):
    """The root of the errors; the message is for the user."""

    exit_code = 2


class SetupError(EmulatorError):
    """An Actor, a task, a fault file or the data folder cannot be used."""


class BuildFailed(SetupError):
    """An environment cannot be built, or the Actor has no way to start; the message says why."""


class AddressUnavailable(EmulatorError):
    """The emulator cannot listen on its address."""


class DataFolderInUse(EmulatorError):
    """Another process uses the data folder."""

    exit_code = 4


def is_disk_full(error: Exception) -> bool:
    """Whether the system refused a write for want of room; a quota or `ulimit -f` is like it."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in full
