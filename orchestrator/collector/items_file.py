"""The file of a dataset that was read to the end, as a value."""

from __future__ import annotations

from typing import NamedTuple

from orchestrator.model.jobs import ItemsQuery
from orchestrator.model.proofs import Proof


class ItemsFile(NamedTuple):
    """
    A dataset's file, read to the end; a tuple, because each job makes one.

    Attributes:
        items: that are in the file.
        data: the bytes, when they were few; None when they are in a file.
        stored: how many items of the platform went into it; more, where filters dropped some.
        counted: how many the platform counted then.
        proof: that it holds all that the platform does; None when that is not known.
        unproven: why it is not known.
    """

    items: int
    size_bytes: int
    sha256: str
    data: bytes | None
    stored: int
    counted: int
    proof: Proof | None = None
    unproven: str | None = None


def items_name(query: ItemsQuery) -> str:
    """The name of a dataset's file."""
    return f"items.{query.format}"
