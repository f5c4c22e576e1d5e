"""How many files the emulator and the processes that it starts may open."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from contextlib import suppress


def raise_limit() -> int:
    """Raises this process's soft limit of open files to the hard one; returns what it was."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS has no hard limit, and refuses to set the soft one so high.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def under_limit(argv: Sequence[str], open_files: int | None) -> Sequence[str]:
    """
    Returns a command that runs `argv` with its own soft limit of open files.

    The emulator raises its own limit, but programs that use `select` fail with so many descriptors.

    Args:
        open_files: the limit; None leaves the command as it is.
    """
    if open_files is None or open_files == resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
        return argv
    # The shell sets the limit: a call between fork and exec is not safe in a process with threads.
    return ["/bin/sh", "-c", f'ulimit -S -n {open_files}; exec "$@"', "sh", *argv]
