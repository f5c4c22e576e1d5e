"""Writes a table: decides which items it keeps, and counts the others."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, BinaryIO, Self

import orjson

from orchestrator.model.batches import ResultsFormat, ResultsPlan
from orchestrator.results.distinct_keys import Seen, Uniques, keys_of
from orchestrator.results.fast_reader import Reject, Rows
from orchestrator.results.item_source import NotMerged, Source
from orchestrator.results.partitions import Files, TableFile
from orchestrator.results.shape import FIELD, PARAM, Column, Layout

COLUMNS = "columns.json"
REJECTS = "rejects.jsonl"
VERSION = 1
LEFT_OUT = ("repeated", "old", "keyless", "rejected")
SHOWN_REJECTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """
    A table that was written.

    Attributes:
        items: how many were read.
        rows: how many were written.
        repeated: items left out because another item has equal values.
        old: items left out because an earlier batch had them.
        keyless: items left out because a field of `unique` has no value.
        rejected: items that the format cannot hold.
        rejects: a sentence for each of the first rejected items.
        lacking: columns that the spec names but no item has.
    """

    items: int = 0
    rows: int = 0
    repeated: int = 0
    old: int = 0
    keyless: int = 0
    rejected: int = 0
    rejects: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


class Work:
    """Writes a table of one layout into a folder, as a context manager."""

    def __init__(
        self, plan: ResultsPlan, folder: Path, layout: Layout, seen: Seen | None, *, most_keys: int
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._layout = layout
        self._seen = seen
        self._uniques = Uniques(folder, most_in_memory=most_keys)
        self._files = Files(folder, f"items.{plan.format.value}", _maker(plan, layout))
        self._counts: Counter[str] = Counter()
        self._rejects: BinaryIO | None = None
        self._reject_lines: list[str] = []

    def __enter__(self) -> Self:
        if not self._layout.partition_by:
            self._files.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._uniques.close()
        self._files.close()
        if self._rejects is not None:
            self._rejects.close()

    def add(self, rows: Rows) -> None:
        """Writes the items that belong in the table."""
        self._counts["items"] += len(rows) + len(rows.rejects)
        for reject in rows.rejects:
            self._reject(reject)
        rows = self._kept(rows)
        if len(rows):
            self._files.write(rows, self._layout.partition_by)
        self._counts["rows"] += len(rows)

    def table(self, layout: Layout) -> Table:
        """
        Writes `columns.json`, after all files are closed.

        Args:
            layout: the final columns.

        Raises:
            NotMerged: the number of rows differs from the number of items.
        """
        counts = self._counts
        left_out = sum(counts[name] for name in LEFT_OUT)
        # The last check: every item is a row, or is counted among those that were left out.
        if not self._files.rows == counts["rows"] == counts["items"] - left_out:
            raise NotMerged(
                f"{self._files.rows} rows were written for {counts['items'] - left_out} items: "
                "run `orchestrator collect` to merge again"
            )
        table = Table(**counts, rejects=tuple(self._reject_lines), lacking=layout.lacking)
        facts = {
            "version": VERSION,
            "format": self._plan.format,
            **{name: counts[name] for name in ("items", "rows", *LEFT_OUT)},
            "columns": [_facts(column, self._plan.format) for column in layout.columns],
        }
        (self._folder / COLUMNS).write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        return table

    def _kept(self, rows: Rows) -> Rows:
        if not self._layout.unique:
            return rows
        keys = keys_of(rows, self._layout.unique)
        if self._plan.unique_missing == "drop":
            rows, keys = self._without(rows, keys, [key is not None for key in keys], "keyless")
        are_first = self._uniques.are_first(list(map(_within_batch, keys, rows.sources)))
        # Before `old`: a repeated item is not new either, and counts once.
        rows, keys = self._without(rows, keys, are_first, "repeated")
        if self._seen is not None:
            numbers = [source.number for source in rows.sources]
            rows, keys = self._without(rows, keys, self._seen.take(keys, numbers), "old")
        return rows

    def _without(
        self, rows: Rows, keys: list[bytes | None], keep: list[bool], name: str
    ) -> tuple[Rows, list[bytes | None]]:
        self._counts[name] += keep.count(False)
        return rows.kept(keep), [key for key, is_kept in zip(keys, keep, strict=True) if is_kept]

    def _reject(self, reject: Reject) -> None:
        source = reject.source
        facts: dict[str, Any] = {
            "job": source.job,
            "run": source.run,
            "line": reject.number,
            "reason": reject.reason,
        }
        if source.batch is not None:
            facts["batch"] = source.batch
        try:
            facts["text"] = reject.line.decode().rstrip("\n")
        except UnicodeDecodeError:
            # JSON has no bytes, and a reject must be kept exactly as it came.
            facts["base64"] = base64.b64encode(reject.line).decode()
        if self._rejects is None:
            self._rejects = (self._folder / REJECTS).open("wb")
        self._rejects.write(orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE))
        self._counts["rejected"] += 1
        if len(self._reject_lines) < SHOWN_REJECTS:
            self._reject_lines.append(f"{source.job}, line {reject.number}: {reject.reason}")


def _within_batch(key: bytes | None, source: Source) -> bytes | None:
    """A key within one batch, because each batch of a table may have the same item."""
    return key if key is None or source.batch is None else key + source.batch.encode()


def module_of(format_: ResultsFormat) -> ModuleType:
    """
    The module that writes a format.

    Raises:
        NotMerged: it needs a library that is not installed.
    """
    return import_module(f"orchestrator.results.{format_.value}_file")


def _maker(plan: ResultsPlan, layout: Layout) -> Callable[[Path], TableFile]:
    module = module_of(plan.format)
    match plan.format:
        case ResultsFormat.JSONL:
            make = module.JsonlFile
        case ResultsFormat.CSV:
            make = partial(module.CsvFile, is_safe=plan.csv_safe)
        case ResultsFormat.PARQUET:
            make = module.ParquetFile
    return lambda path: make(path, layout=layout)


def _facts(column: Column, format_: ResultsFormat) -> dict[str, str]:
    facts = {"name": column.name, "from": column.origin}
    if column.origin in (FIELD, PARAM):
        facts["of"] = column.of
    if format_ is not ResultsFormat.JSONL:
        facts["kind"] = column.kind
        if column.origin == FIELD:
            facts["empty"] = column.empty
    return facts
