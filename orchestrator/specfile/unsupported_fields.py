"""Parameters of the API that a spec cannot have; ignoring them silently would cost money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.specfile.text.positions import Path as FieldPath

NEVER: Mapping[str, str] = {
    "limit": "every item is fetched; for fewer items, make the Actor produce fewer",
    "offset": "every item is fetched, from the first one on",
    "attachment": "is for browsers; the items become a file in any case",
    "signature": "is for those without a token",
}
"""Parameters of the items endpoint that do not fit what `collect` is for."""

Found = Iterator[tuple[FieldPath, str]]


def take_out_of_scope(data: dict[str, Any]) -> Found:
    """Removes unsupported fields from the data of a spec, and reports each one."""
    jobs = data.get("jobs")
    tables: list[tuple[FieldPath, Any]] = [
        (("defaults",), data.get("defaults")),
        *((("jobs", n), job) for n, job in enumerate(jobs if isinstance(jobs, list) else [])),
    ]
    for path, table in tables:
        collect = table.get("collect") if isinstance(table, dict) else None
        if not isinstance(collect, dict):
            continue
        for name in sorted(NEVER.keys() & collect.keys()):
            del collect[name]
            yield (*path, "collect", name), NEVER[name]
