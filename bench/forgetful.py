"""The command with a ledger in memory: the difference is the cost of durability."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cli.main import main
from orchestrator.ledger import connection

connect_durably = connection._connect  # noqa: SLF001 - the one place where all are opened


def connect_in_memory(path: Path, mode: str) -> connection.LedgerConnection:
    """Keeps no journal on disk and flushes nothing: writes stay in the system's memory."""
    db = connect_durably(path, mode)
    if mode == "rw":
        db.execute("PRAGMA journal_mode = MEMORY")
    db.execute("PRAGMA synchronous = OFF")
    return db


if __name__ == "__main__":
    connection._connect = connect_in_memory  # noqa: SLF001
    main()
