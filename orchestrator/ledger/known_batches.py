"""Reads the batch of a ledger, and remembers it while the file is the same."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from orchestrator.ledger import stores
from orchestrator.ledger.rows import batch_of
from orchestrator.ledger.sqlite_file import settled_content
from orchestrator.model.batches import Batch

_read: dict[tuple[int, ...], Batch] = {}
"""The batches of the files that this process has read, by `settled_content`."""


def read_batch(path: Path) -> Batch:
    """
    The batch of a ledger of any version; nothing else in the file is checked.

    A file that this process has read, and that is the same, is not opened again: a call looks at
    all earlier batches several times.

    Raises:
        LedgerCorrupt, LedgerVersionMismatch.
    """
    content = settled_content(path)
    batch = None if content is None else _read.get(content)
    if batch is None:
        with closing(stores.connect_briefly(path)) as db:
            batch = batch_of(db.query("select_batch").fetchone())
        if content is not None:
            _read[content] = batch
    return batch
