"""Datasets, and the keys of key-value stores (API reference, "Get dataset", "Get list of keys")."""

from __future__ import annotations

from pydantic import Field, JsonValue

from orchestrator.apify.models.base import Number, Page, Time, Whole, WireModel


class DatasetStats(WireModel):
    """
    How much a dataset is used.

    Attributes:
        storage_bytes: as stored; told for a single dataset only.
        inflated_bytes: before compression; told in lists only.
    """

    read_count: Number | None = None
    write_count: Number | None = None
    storage_bytes: Number | None = None
    inflated_bytes: Number | None = None


class Dataset(WireModel):
    """
    A dataset, alone and in lists.

    Attributes:
        name: None for a run's own.
        item_count: lags up to five seconds behind what was pushed.
        clean_item_count: without empty items; lags likewise.
        act_run_id: of the run that made it.
        fields: names of the items' fields.
        item_schema: of its items; the API's `schema`.
        items_public_url: a link that needs no token.
        url_signing_secret_key: a secret; told only to those who may write.
    """

    id: str
    name: str | None = None
    user_id: str | None = None
    username: str | None = None
    title: str | None = None
    created_at: Time | None = None
    modified_at: Time | None = None
    accessed_at: Time | None = None
    item_count: Whole | None = None
    clean_item_count: Whole | None = None
    act_id: str | None = None
    act_run_id: str | None = None
    fields: list[str] | None = None
    item_schema: dict[str, JsonValue] | None = Field(None, alias="schema")
    console_url: str | None = None
    items_public_url: str | None = Field(None, repr=False)
    url_signing_secret_key: str | None = Field(None, repr=False)
    general_access: str | None = None
    stats: DatasetStats | None = None


DatasetList = Page[Dataset]


class Key(WireModel):
    """
    A key of a key-value store.

    Attributes:
        size: of its record, in bytes.
        record_public_url: a link that needs no token.
    """

    key: str
    size: Whole | None = None
    record_public_url: str | None = Field(None, repr=False)


class KeyList(WireModel):
    """
    One page of keys, in the order of their bytes.

    Attributes:
        count: how many this page holds.
        is_truncated: whether more follow.
        next_exclusive_start_key: what the next page starts after; None on the last.
    """

    items: list[Key]
    count: Whole = 0
    limit: Whole = 0
    exclusive_start_key: str | None = None
    is_truncated: bool = False
    next_exclusive_start_key: str | None = None
