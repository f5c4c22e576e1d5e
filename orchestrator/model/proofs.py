"""How it is known that a dataset on disk is all that the platform holds of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NOT_WANTED = "its items are not collected"
FEWER = "the platform gives fewer items than it counts"
MORE = "the platform gives more items than it counts"
GONE = "the platform does not have the dataset any more"
REFUSED = "the platform refuses to show what the run made"
SHARED = "a named dataset, which other runs may fill too"


class ProvenBy(StrEnum):
    """
    What proved a dataset complete, after the platform's counters had settled.

    DOWNLOAD: a download of all of it. LOOK: one request behind the last item of what was read
    earlier.
    """

    DOWNLOAD = "download"
    LOOK = "look"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """
    That a dataset is on disk whole.

    Attributes:
        after_secs: how long after the run's end the request began, at least.
        stored: how many items the platform holds; with filters, fewer may be on disk.
    """

    by: ProvenBy
    after_secs: float
    stored: int

    def __str__(self) -> str:
        return f"{self.by} {self.after_secs:g} {self.stored}"


def proof_from(text: str | None) -> Proof | None:
    """The proof that `str` made a text of; None for None."""
    if text is None:
        return None
    by, after_secs, stored = text.split()
    return Proof(by=ProvenBy(by), after_secs=float(after_secs), stored=int(stored))
