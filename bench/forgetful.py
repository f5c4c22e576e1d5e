"""The command with a ledger that is kept in memory: what durability costs is the difference."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cli.main import main
from orchestrator.ledger import connection

honest = connection._connect  # noqa: SLF001 - the one place where all are opened


def forgetful(path: Path, mode: str) -> connection.LedgerConnection:
    """Keeps no journal on disk and flushes nothing: writes stay in the system's memory."""
    db = honest(path, mode)
    if mode == "rw":
        db.execute("PRAGMA journal_mode = MEMORY")
    db.execute("PRAGMA synchronous = OFF")
    return db


if __name__ == "__main__":
    connection._connect = forgetful  # noqa: SLF001
    main()
