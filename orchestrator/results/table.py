"""
Merges the items of many jobs into one table, in constant memory.

1. It guesses the columns from the first items of the jobs, and writes the table.
2. If a later item needs other columns, it stops writing, reads the rest, and starts again.
"""

from __future__ import annotations

import gc
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from orchestrator.model.batches import ResultsFormat, ResultsPlan
from orchestrator.results.column_kinds import Kind
from orchestrator.results.distinct_keys import Seen
from orchestrator.results.fast_reader import read
from orchestrator.results.inference import look_at
from orchestrator.results.item_source import NotMerged, Sources, chunks, heads
from orchestrator.results.shape import Layout, Shape
from orchestrator.results.table_sizes import USUAL_SIZES, TableSizes
from orchestrator.results.table_writer import Table, Work, module_of


def write_table(
    sources: Sources,
    plan: ResultsPlan,
    folder: Path,
    *,
    seen: Seen | None = None,
    has_batches: bool = False,
    sizes: TableSizes = USUAL_SIZES,
) -> Table:
    """
    Writes a table, `columns.json` and, if items are rejected, `rejects.jsonl` into an empty folder.

    Args:
        seen: the keys of earlier batches; None for no comparison.
        has_batches: whether columns name the batch of an item.

    Raises:
        NotMerged: the items of a job differ from the ledger, or a library is missing.
        OSError.
    """
    shape = Shape(
        as_text=plan.format is ResultsFormat.JSONL,
        has_batches=has_batches,
        types=_types(plan),
        unique=plan.unique,
        partition_by=plan.partition_by,
    )
    for piece in heads(sources(), most=sizes.sampled_jobs, size_bytes=sizes.sampled_bytes):
        look_at(read([piece], as_text=shape.as_text), shape)
    for source in sources():
        shape.learn_params(source.params)
    try:
        with _no_garbage_collection():
            while (table := _written(sources, plan, folder, shape, seen, sizes=sizes)) is None:
                pass
    except sqlite3.Error as error:
        raise NotMerged(f"the keys of items cannot be stored: {error}") from error
    return table


def _written(
    sources: Sources,
    plan: ResultsPlan,
    folder: Path,
    shape: Shape,
    seen: Seen | None,
    *,
    sizes: TableSizes,
) -> Table | None:
    """Reads all items once and writes them; None if other columns are needed."""
    _empty(folder)
    layout = shape.layout()
    forms = _forms(plan.format, layout)
    is_fit = True
    with Work(plan, folder, layout, seen, most_keys=sizes.most_keys) as work:
        for pieces in chunks(sources(), partial(_most_rows, shape, sizes)):
            rows = look_at(read(pieces, as_text=shape.as_text), shape)
            is_fit = is_fit and _forms(plan.format, shape.layout()) == forms
            if is_fit:
                work.add(rows)
    if not is_fit:
        return None
    return work.table(shape.layout())


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Stops garbage collection, because items have no cycles and each search costs time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _types(plan: ResultsPlan) -> dict[str, Kind]:
    """The types of fields; only in Parquet, because other formats store text."""
    if plan.format is not ResultsFormat.PARQUET:
        return {}
    return {name: Kind(kind) for name, kind in plan.types.items()}


def _most_rows(shape: Shape, sizes: TableSizes) -> int:
    if shape.as_text:
        return sizes.most_rows
    return min(sizes.most_rows, sizes.most_cells // (len(shape) + 1))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _forms(format_: ResultsFormat, layout: Layout) -> object:
    """The part of a layout that its files depend on."""
    form = module_of(format_).form
    is_text = format_ is ResultsFormat.JSONL
    columns = layout.ours() if is_text else layout.columns
    return (
        [(c.name, c.origin, c.of, form(c), c.empty == "either") for c in columns],
        layout.unique and [c.name for c in layout.unique],
        [(c.name, c.kind is Kind.JSON) for c in layout.partition_by],
    )
