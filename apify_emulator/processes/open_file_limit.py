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
    Returns what runs a command with a soft limit of open files of its own.

    A server raises its own limit; programs that use `select` break with so many descriptors.

    Args:
        open_files: the limit; None leaves the command as it is.
    """
    if open_files is None or open_files == resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
        return argv
    # By the shell: setting the limit between fork and exec is not safe beside threads.
    return ["/bin/sh", "-c", f'ulimit -S -n {open_files}; exec "$@"', "sh", *argv]
