"""The mark of a batch, by which a platform knows its runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.location import location_of


def mark_of(folder: Path) -> str | None:
    """The text with which the marks of a batch's starts begin; None before it has a ledger."""
    if location_of(folder / "ledger.sqlite") is not None:
        return read_batch(folder / "ledger.sqlite").mark
    if not (folder / "ledger.sqlite").exists():
        return None
    with closing(sqlite3.connect(f"file:{folder}/ledger.sqlite?mode=ro", uri=True)) as db:
        (mark,) = db.execute("SELECT mark FROM batch").fetchone()
    return str(mark)
