"""Datasets, and the keys of key-value stores (API reference, "Get dataset", "Get list of keys")."""

from __future__ import annotations

from orchestrator.apify.models.base import Page, WireModel


class Dataset(WireModel):
    """
    A dataset, alone and in lists.

    Attributes:
        name: None for a run's own.
    """

    id: str
    name: str | None = None


DatasetList = Page[Dataset]


class Key(WireModel):
    """A key of a key-value store."""

    key: str


class KeyList(WireModel):
    """
    One page of keys, in the order of their bytes.

    Attributes:
        is_truncated: whether more follow.
        next_exclusive_start_key: what the next page starts after; None on the last.
    """

    items: list[Key]
    is_truncated: bool = False
    next_exclusive_start_key: str | None = None
