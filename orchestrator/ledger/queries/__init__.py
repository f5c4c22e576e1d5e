"""The statements of the ledger: a file for each subject, a sentence for each statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files


@cache
def queries() -> Mapping[str, str]:
    """The statements by their names."""
    return dict(named_queries())


def named_queries() -> Iterator[tuple[str, str]]:
    """Each name with its statement, which begins with the sentence that says what it does."""
    for entry in files(__name__).iterdir():
        if entry.name.endswith(".sql"):
            for block in entry.read_text("utf-8").split("-- name: ")[1:]:
                name, sql = block.split("\n", 1)
                yield name.strip(), sql.strip()
