"""
The statements of the ledger: a file for each subject, a sentence for each statement.

Those in this folder are the same for both databases. The folders `sqlite` and `postgres` have those
that differ, under the same names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files

PARAMETER = re.compile(r":([a-z_0-9]+)")
"""A parameter of a statement."""


class Dialect(StrEnum):
    """The SQL of a database; also the name of its folders."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"


@cache
def queries(dialect: Dialect = Dialect.SQLITE) -> Mapping[str, str]:
    """The statements for a database by their names."""
    return dict(named_queries(dialect))


def named_queries(dialect: Dialect = Dialect.SQLITE) -> Iterator[tuple[str, str]]:
    """Each name with its statement, which begins with the sentence that says what it does."""
    here = files(__name__)
    for entry in (*here.iterdir(), *(here / dialect).iterdir()):
        if entry.name.endswith(".sql"):
            for block in entry.read_text("utf-8").split("-- name: ")[1:]:
                name, sql = block.split("\n", 1)
                yield name.strip(), sql.strip()
