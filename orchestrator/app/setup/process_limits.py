"""How many runs and downloads the open files of this process are enough for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from orchestrator import descriptors
from orchestrator.errors import ConfigError
from orchestrator.event_log import LOG

RESERVED = 20
"""For the ledger's readers, reports, look-ups and the resolution of names."""
RUN = 2
"""A run uses a connection to wait on, and another for its items while it runs."""
DOWNLOAD = 3
"""A download uses a connection and a file, and a folder while that is flushed."""
SHARE_OF_DOWNLOADS = 4
"""When there are too few for all, downloads get one part in four."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How much the descriptors are enough for."""

    max_runs: int
    max_downloads: int


@cache
def capacity(max_downloads: int, *, is_local: bool) -> Capacity:
    """
    How much the descriptors are enough for that are free when the process first asks.

    Args:
        max_downloads: as many as the settings allow.
        is_local: whether the platform is in this process, which holds the other ends too.

    Raises:
        ConfigError: they are not enough for a single run.
    """
    ends = 2 if is_local else 1
    run, download = RUN * ends, DOWNLOAD + ends - 1
    unused = descriptors.unused() - RESERVED
    downloads = max(1, min(max_downloads, unused // SHARE_OF_DOWNLOADS // download))
    runs = (unused - downloads * download) // run
    if runs < 1:
        raise ConfigError(f"{too_few()}, which is not enough for a single run; {CURE}")
    return Capacity(max_runs=runs, max_downloads=downloads)


def require_some() -> None:
    """
    Refuses to use the network with almost no descriptors, when each error hides another.

    Raises:
        ConfigError.
    """
    if descriptors.unused() < RESERVED:
        raise ConfigError(f"{too_few()}, which is not enough; {CURE}")


CURE = "raise the limit with `ulimit -n`"


def too_few() -> str:
    """How many descriptors there are."""
    return f"this process may have {descriptors.allowed()} open files"


def warn_of_bound(max_runs: int, wanted: int) -> None:
    """Warns when descriptors limit the runs at once."""
    if max_runs < wanted:
        LOG.warning(
            "runs_bounded", max_runs=max_runs, instead_of=wanted, reason=f"{too_few()}; {CURE}"
        )
