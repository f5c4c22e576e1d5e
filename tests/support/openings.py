"""The command, which records each time that it opens a ledger for reading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.cli.main import main
from orchestrator.ledger import connection

OPENINGS = Path("openings.txt")
open_read_only = connection.connect_read_only


def main_counting(words: Sequence[str]) -> None:
    """Runs the command; each line of the file in its folder names a ledger that was opened."""
    connection.connect_read_only = _recorded
    main(words)


def _recorded(path: Path) -> connection.LedgerConnection:
    with OPENINGS.open("a") as file:
        file.write(f"{path}\n")
    return open_read_only(path)
