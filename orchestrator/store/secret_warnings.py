"""Warns of secrets in what an Actor made; the files themselves are never changed."""

from __future__ import annotations

from pathlib import PurePath

from orchestrator.event_log import LOG
from orchestrator.safe_text import SECRETS

JOBS = "jobs"


class SecretWatch:
    """
    Checks the bytes of a file that is written in pieces, and warns once.

    Args:
        path: of the file, below the `jobs/` of a batch.
    """

    __slots__ = ("_end", "_has_warned", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._end = b""
        self._has_warned = False

    def check(self, data: bytes) -> None:
        """Checks the next bytes of the file."""
        overlap = SECRETS.longest_bytes - 1
        if self._has_warned or overlap < 0:
            return
        # A secret may be cut where two pieces meet.
        if SECRETS.are_in(data) or SECRETS.are_in(self._end + data[:overlap]):
            self._has_warned = True
            warn_of_secret(self._path)
        self._end = (self._end + data[-overlap:])[-overlap:] if overlap else b""


def warn_of_secret(path: str) -> None:
    """Names the job and the file."""
    _, _, place = path.rpartition(f"/{JOBS}/")
    job, *names = PurePath(place).parts
    LOG.warning(
        "secret_in_results",
        job=job,
        file="/".join(names),
        advice="the Actor wrote a secret that it was sent; the file is kept as it is",
    )
