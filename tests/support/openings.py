"""The command, which writes down each time that it opens a ledger for reading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.cli.main import main
from orchestrator.ledger import connection

OPENINGS = Path("openings.txt")
honest = connection.connect_read_only


def main_counting(words: Sequence[str]) -> None:
    """The command; each line of the file in its folder is a ledger that was opened."""
    connection.connect_read_only = _written_down
    main(words)


def _written_down(path: Path) -> connection.LedgerConnection:
    with OPENINGS.open("a") as file:
        file.write(f"{path}\n")
    return honest(path)
