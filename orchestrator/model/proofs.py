"""How it is known that a dataset on disk is complete."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NOT_WANTED = "its items are not collected"
FEWER = "the platform gives fewer items than it counts"
MORE = "the platform gives more items than it counts"
GONE = "the platform does not have the dataset any more"
REFUSED = "the platform refuses to show the results of the run"
SHARED = "a named dataset, which other runs may fill too"


class ProvenBy(StrEnum):
    """
    What proved a dataset complete, after the counters of the platform were final.

    DOWNLOAD: a download of all items. LOOK: one request behind the last item of an earlier
    download.
    """

    DOWNLOAD = "download"
    LOOK = "look"


PROVEN_BY = {each.value: each for each in ProvenBy}
"""Looked up, because an Enum takes several times as long to find a member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """
    That a dataset on disk is complete.

    Attributes:
        after_secs: how long after the end of the run the request began, at least.
        stored: how many items the platform holds; with filters, fewer may be on disk.
    """

    by: ProvenBy
    after_secs: float
    stored: int

    def __str__(self) -> str:
        return f"{self.by} {self.after_secs:g} {self.stored}"


def proof_from(text: str | None) -> Proof | None:
    """The proof from the text that `str` gave; None for None."""
    if text is None:
        return None
    by, after_secs, stored = text.split()
    return Proof(by=PROVEN_BY[by], after_secs=float(after_secs), stored=int(stored))
