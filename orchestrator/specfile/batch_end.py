"""The tables of a spec that say what follows the end of a batch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.specfile.field_types import Address, Days, Listed, Positive, Table, Text


class ResultsTable(Table):
    """The items of all jobs that succeeded as one table, with `_job`, `_run` and the parameters."""

    format: Literal["jsonl", "csv", "parquet"] = "jsonl"
    """The format of the table (jsonl)."""
    partition_by: Annotated[list[Text], Listed()] | None = None
    """Columns, such as parameters, whose values become folders."""
    unique: Annotated[list[Text], Listed()] | None = None
    """Fields that identify an item: of items with equal values, the table keeps one."""
    unique_missing: Literal["keep", "drop"] = "keep"
    """Whether to keep items in which a field of `unique` is missing or null (keep)."""
    new_only: bool = False
    """Keeps only items that no earlier batch of this series had, by `unique` (false)."""
    types: dict[str, Literal["timestamp", "date", "text", "integer", "number", "boolean"]] = Field(
        default_factory=dict
    )
    """
    The types of fields in Parquet, such as `{ scraped_at = "timestamp" }`. Default: as in JSON.
    """
    csv_safe: bool = False
    """
    Puts a quote before cells that begin with `=`, `+`, `-` or `@`, which spreadsheets read as
    formulas (false).
    """


class RetentionTable(Table):
    """
    Which batches of the series stay when a new one has ended; the others are removed.

    A batch stays if it is among the newest or young enough. A batch that was interrupted, or has
    data that is not on disk, always stays.
    """

    keep_last: Positive | None = None
    """How many of the newest batches of the series stay, at any age."""
    keep_days: Days | None = None
    """How many days after its end a batch stays, also with an old number."""


class NotifyTable(Table):
    """Who hears of the end of a batch, also if it cannot begin. `{{ env.NAME }}` works here."""

    on: Literal["problem", "always", "change", "never"] = "problem"
    """
    When to send a notification: `problem` if the exit code is not 0, `change` if the exit code or
    the jobs that failed differ from those of the last batch of the series that ended (problem).
    """
    urls: Annotated[list[Address], Listed()] = Field(default_factory=list)
    """The Apprise URLs to notify: mail, Slack, Teams, webhooks and others. Needs `notify`."""
    ping_url: Address | None = None
    """
    A dead-man's switch: `URL/start` at the start, `URL` after success, `URL/<exit code>` otherwise.
    """
