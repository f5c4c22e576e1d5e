"""
How many files and connections the system lets this process have open at once.

The soft limit is often 256 or 1024 for the sake of old programs, and the hard one far higher. This
process raises its own; processes that it starts get the original one back.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

MOST_OF_MACOS = 10_240
"""macOS says that there is no hard limit, and lets no process have more than this."""
USUALLY_OPEN = 16
"""What is taken for open where the system does not tell it."""


class _Limit:
    original: int | None = None


def raise_limit() -> None:
    """Raises this process's soft limit to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    _Limit.original = soft
    # macOS refuses the hard limit that it reports, so a number that it accepts comes second.
    for wanted in (hard, MOST_OF_MACOS):
        with suppress(ValueError, OSError):
            if soft != hard:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


def original_limit() -> int | None:
    """The soft limit that this process was started with; None when it was never raised."""
    return _Limit.original


def allowed() -> int:
    """How many descriptors this process may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def unused() -> int:
    """How many descriptors this process may still open."""
    try:
        # Listing the folder opens one descriptor itself, which does not count.
        used = sum(1 for _ in Path("/dev/fd").iterdir()) - 1
    except OSError:
        used = USUALLY_OPEN
    return allowed() - used
