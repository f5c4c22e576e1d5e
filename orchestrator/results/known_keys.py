"""Records the keys of batches that were never compared, when a merge first needs them."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.results.distinct_keys import Seen, keys_of
from orchestrator.results.fast_reader import read
from orchestrator.results.inference import look_at
from orchestrator.results.item_source import Sources, chunks, heads
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
    sizes = USUAL_SIZES
    for piece in heads(sources(), most=sizes.sampled_jobs, size_bytes=sizes.sampled_bytes):
        look_at(read([piece], as_text=True), shape)
    for source in sources():
        shape.learn_params(source.params)
    columns = shape.layout().unique
    # Read also where no item is known to have these columns: files may be missing.
    for pieces in chunks(sources(), lambda: sizes.most_rows):
        if columns:
            rows = read(pieces, as_text=True)
            seen.take(keys_of(rows, columns), [source.number for source in rows.sources])
