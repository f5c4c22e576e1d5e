"""Records the keys of batches that were never compared, when a merge first needs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.results.distinct_keys import Seen, keys_of
from orchestrator.results.fast_reader import Rows, read
from orchestrator.results.inference import look_at
from orchestrator.results.item_source import Sources, chunks
from orchestrator.results.shape import Shape
from orchestrator.results.table_sizes import USUAL_SIZES


def remember(sources: Sources, unique: Sequence[str], seen: Seen) -> None:
    """
    Records the keys of all items of a batch.

    Args:
        unique: the columns that identify an item.

    Raises:
        NotMerged: some of its items are missing.
    """
    shape = Shape(as_text=True, unique=unique)
    # All items first: a column may be in late ones only, and then it is no parameter.
    for rows in _rows(sources):
        look_at(rows, shape)
    for source in sources():
        shape.learn_params(source.params)
    columns = shape.layout().unique
    if columns:
        for rows in _rows(sources):
            seen.take(keys_of(rows, columns), [source.number for source in rows.sources])


def _rows(sources: Sources) -> Iterator[Rows]:
    for pieces in chunks(sources(), lambda: USUAL_SIZES.most_rows):
        yield read(pieces, as_text=True)
