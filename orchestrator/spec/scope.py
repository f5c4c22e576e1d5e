"""
What belongs to the format and is not done: refused in words, since ignoring it would cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.spec.positions import Path as FieldPath

NOT_YET: Mapping[str, frozenset[str]] = {
    "collect": frozenset({"live"}),
}
"""
Fields that this version does not act on, by the kind of table; the only list of them.
"""

NEVER: Mapping[str, str] = {
    "limit": "every item is fetched; to have fewer, let the Actor make fewer",
    "offset": "every item is fetched, from the first one on",
    "attachment": "is for browsers; the items become a file in any case",
    "signature": "is for those without a token",
}
"""
Parameters of the items endpoint that do not fit what `collect` is for.
"""

Found = Iterator[tuple[FieldPath, str]]


def take_out_of_scope(data: dict[str, Any]) -> Found:
    """
    Removes what is not done from a spec as it was read, and tells of each field.
    """
    for kind, path, table in list(_tables(data)):
        for name in sorted(NOT_YET.get(kind, frozenset()) & table.keys()):
            del table[name]
            yield (*path, name), "this version does not support it yet; leave it out"
        if kind == "collect":
            for name in sorted(NEVER.keys() & table.keys()):
                del table[name]
                yield (*path, name), NEVER[name]


def _tables(data: dict[str, Any]) -> Iterator[tuple[str, FieldPath, dict[str, Any]]]:
    """
    The tables that may have such fields, with their kind and place.
    """
    jobs = data.get("jobs")
    found: list[tuple[str, FieldPath, Any]] = [
        ("batch", ("batch",), data.get("batch")),
        ("job", ("defaults",), data.get("defaults")),
        *(
            ("job", ("jobs", n), job)
            for n, job in enumerate(jobs if isinstance(jobs, list) else [])
        ),
    ]
    for kind, path, table in found:
        if not isinstance(table, dict):
            continue
        yield kind, path, table
        if kind == "job" and isinstance(table.get("collect"), dict):
            yield "collect", (*path, "collect"), table["collect"]
