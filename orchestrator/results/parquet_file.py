"""A table as Parquet, with pyarrow from an extra; writes while the caller reads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from orchestrator.extras import Extra, not_installed
from orchestrator.results.column_kinds import Kind, json_texts
from orchestrator.results.column_values import cells_of
from orchestrator.results.fast_reader import Rows
from orchestrator.results.item_source import NotMerged
from orchestrator.results.shape import Column, Layout

try:
    import pyarrow as pa
    from pyarrow import parquet
except ImportError as error:  # pragma: no cover - reported where it is needed
    raise NotMerged(f"Parquet {not_installed(Extra.PARQUET)}") from error

GROUP_BYTES = 16 * 1024 * 1024
SMALL_GROUP_BYTES = 2 * 1024 * 1024
"""The size of a row group in each of many partitions."""
FORMS = {Kind.NOTHING: Kind.TEXT, Kind.LONG: Kind.INTEGER}
TYPES = {
    Kind.TEXT: pa.string(),
    Kind.JSON: pa.string(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    Kind.DATE: pa.date32(),
}


def form(column: Column) -> Kind | None:
    """The part of a column's kind that its values depend on."""
    return FORMS.get(column.kind, column.kind)


class ParquetFile:
    """
    A file of Parquet that is being written.

    Attributes:
        rows: how many were written; after `close`, the number in the file.
    """

    def __init__(self, path: Path, *, layout: Layout) -> None:
        self._path = _free(path)
        self._layout = layout
        self._columns = [c for c in layout.columns if c not in layout.partition_by]
        self._schema = pa.schema([(column.name, TYPES[_form(column)]) for column in self._columns])
        self._writer = parquet.ParquetWriter(self._path, self._schema, compression="zstd")
        # Many partitions are open at once, and each of them gathers its own group.
        self._group_bytes = SMALL_GROUP_BYTES if layout.partition_by else GROUP_BYTES
        self._gathered: list[Any] = []
        # One thread: the next items are read meanwhile, and groups stay in their order.
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None
        self.rows = 0

    def write(self, rows: Rows) -> None:
        """Appends items."""
        arrays = [_array(column, cells_of(rows, column, self._layout)) for column in self._columns]
        self._gathered.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        if sum(batch.nbytes for batch in self._gathered) >= self._group_bytes:
            self._flush()

    def close(self) -> None:
        """Ends the file."""
        try:
            self._flush()
            self._wait()
        finally:
            self._thread.shutdown()
            self._writer.close()
        # Counted in the file itself, as proof that all rows have arrived.
        self.rows = parquet.read_metadata(self._path).num_rows

    def _flush(self) -> None:
        self._wait()
        if self._gathered:
            table = pa.Table.from_batches(self._gathered, schema=self._schema)
            self._gathered = []
            self._writing = self._thread.submit(self._writer.write_table, table)

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None


def _form(column: Column) -> Kind:
    return FORMS.get(column.kind, column.kind)


def _array(column: Column, values: Sequence[Any]) -> Any:
    kind = _form(column)
    return pa.array(json_texts(values) if kind is Kind.JSON else values, type=TYPES[kind])


def _free(path: Path) -> Path:
    """A free file name, because nothing can be appended to a Parquet file."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
