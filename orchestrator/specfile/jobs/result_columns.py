"""
Checks that the columns in `[results]` will exist, as far as that is known beforehand.

1. Parameters and the fields of `collect.fields` are certain.
2. Otherwise the newest batch is evidence, if all its jobs succeeded.
3. A spec that this batch ran unchanged is refused only for a likely misspelling, because one batch
   with unusual items must not block the next one.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import orjson

from orchestrator.specfile.diagnostics import unknown
from orchestrator.specfile.jobs.checks import kept_fields
from orchestrator.specfile.load import LoadedSpec
from orchestrator.specfile.model import CollectTable
from orchestrator.specfile.text.positions import Path as FieldPath

OURS = ("_job", "_run")
MOST_BYTES = 16 * 1024 * 1024
CLOSE = 0.6


def check_columns(
    loaded: LoadedSpec, collects: Iterable[CollectTable], params: Collection[str], output: Path
) -> Iterator[tuple[FieldPath, str]]:
    """
    Columns that will not exist.

    Args:
        collects: the `collect` table of each sweep.
        params: the names of all parameters.
        output: the folder of all batches.
    """
    results = loaded.spec.results
    if results is None:
        return
    wanted = {
        name: ("results", field)
        for field in ("unique", "partition_by", "types")
        for name in getattr(results, field) or ()
        if name not in (*OURS, *params)
    }
    kept = [kept_fields(collect) for collect in collects]
    if not wanted or not kept:
        return
    stated = {name for names in kept for name in names or ()}
    # Every job names its fields, so no earlier batch has to be asked.
    if None not in kept:
        known = stated | set(OURS) | set(params)
        for name, path in wanted.items():
            if name not in stated:
                yield path, unknown(name, known, "column")
        return
    wanted = {name: path for name, path in wanted.items() if name not in stated}
    if wanted:
        yield from _check_by_newest(loaded, wanted, output)


def _check_by_newest(
    loaded: LoadedSpec, wanted: Mapping[str, FieldPath], output: Path
) -> Iterator[tuple[FieldPath, str]]:
    folder = output / loaded.spec.batch.name / "latest"
    try:
        had = _fields_of(folder)
        is_same = (folder / f"spec{loaded.ending}").read_bytes() == loaded.source
    except (OSError, ValueError, LookupError, TypeError):
        return  # no such batch, or it cannot be read: its own commands report that
    for name, path in wanted.items() if had else ():
        close = get_close_matches(name, had, n=1, cutoff=CLOSE)
        if name in had or (is_same and not close):
            continue
        right = f"; did you mean {close[0]!r}?" if close else ""
        batch = Path(os.path.realpath(folder)).name
        newest = f"no item of the newest batch, {batch}, has {name!r}{right}"
        yield path, f"{newest} (name a new field in collect.fields)"


def _fields_of(folder: Path) -> set[str]:
    """The fields of a batch's items; none if it is incomplete or too large to read."""
    summary = orjson.loads((folder / "summary.json").read_bytes())
    jobs = summary["jobs"]
    # A batch with failed jobs may lack just the items that have the field.
    if not summary["items"] or jobs["SUCCEEDED"] != sum(jobs.values()):
        return set()
    columns = folder / "results" / "columns.json"
    if columns.is_file():
        facts = orjson.loads(columns.read_bytes())
        return {column["of"] for column in facts["columns"] if column["from"] == "field"}
    # A check before the start must not read gigabytes.
    if summary["bytes"] > MOST_BYTES:
        return set()
    fields: set[str] = set()
    for line in (folder / "jobs.jsonl").read_bytes().splitlines():
        for path in (folder / "jobs" / orjson.loads(line)["key"]).glob("items.jsonl"):
            fields.update(*filter(_is_object, map(orjson.loads, path.read_bytes().splitlines())))
    return fields


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
