"""
The schema by its versions: one SQL file each, applied in order and never changed afterwards.

Each database has a folder of its own, with its own numbers. A new SQLite file gets the newest
version at once, because each version alters tables of those before, which takes longer.

All files that a ledger lacks commit together with the number of its version, see `connection`.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from importlib.resources import files

from orchestrator.ledger.queries import Dialect

APPLICATION_ID = 0x6F726368
"""`orch` in ASCII: distinguishes our files from other SQLite files."""


@cache
def migrations(dialect: Dialect = Dialect.SQLITE) -> tuple[str, ...]:
    """The SQL that leads to each version, the first one at index 0."""
    folder = files(__name__) / dialect
    scripts = (entry for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(entry.read_text("utf-8") for entry in sorted(scripts, key=lambda one: one.name))


@cache
def newest() -> str:
    """The SQL that makes a new SQLite file; `make references` writes it from the versions."""
    return (files(__name__) / "sqlite_newest.sql").read_text("utf-8")


@cache
def statements(sql: str) -> tuple[str, ...]:
    """The statements of a script."""
    # `executescript` commits first, so a migration and its version would be two transactions.
    found, statement = [], ""
    for line in sql.splitlines(keepends=True):
        statement += line
        # Each look reads the statement from its beginning, and most lines are within one.
        if ";" in line and sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return tuple(found)
