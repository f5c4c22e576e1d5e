"""Reads the batches of ledgers: those at a server together, and each file once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from orchestrator.ledger import stores
from orchestrator.ledger.location import location_of
from orchestrator.ledger.rows import batch_of
from orchestrator.ledger.sqlite_file import settled_content
from orchestrator.ledger.store import Row
from orchestrator.model.batches import Batch

_read: dict[Path, tuple[tuple[int, ...], Batch]] = {}
"""What this process has read of each file: its `settled_content` before, and its batch."""


def read_batch(path: Path, published: Mapping[str, Row] | None = None) -> Batch:
    """
    The batch of a ledger of any version; nothing else in the ledger is checked.

    A file that this process has read, and that is the same, is not opened again: a call looks at
    all earlier batches several times.

    Args:
        published: what was just read from the server of the settings, by the id of the batch.

    Raises:
        LedgerCorrupt, LedgerVersionMismatch, LedgerAway, BatchNotFound.
    """
    content = settled_content(path)
    known = _read.get(path)
    if known is not None and known[0] == content:
        return known[1]
    location = location_of(path) if published else None
    if published and location is not None and location.batch_id in published:
        return batch_of(published[location.batch_id])
    with closing(stores.connect_briefly(path)) as db:
        batch = batch_of(db.query("select_batch").fetchone())
    if content is not None:
        _read[path] = content, batch
    return batch
