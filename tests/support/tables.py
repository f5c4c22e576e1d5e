"""Writes tables of items and reads them back, by the rules of docs/results.md for each format."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchestrator.model.batches import ResultsFormat, ResultsPlan
from orchestrator.results.distinct_keys import Seen
from orchestrator.results.item_source import Source
from orchestrator.results.table import write_table
from orchestrator.results.table_sizes import USUAL_SIZES, TableSizes
from orchestrator.results.table_writer import Table

NOT_A_NUMBER = "not a number"
CELL = re.compile(r'("(?:[^"]|"")*"|[^,\n]*)([,\n])')


def sources_in(
    folder: Path, jobs: Sequence[Sequence[str]], params: Sequence[Mapping[str, Any]] = ()
) -> list[Source]:
    """Jobs `job-1`, `job-2`, …, each with a file of these lines."""
    sources = []
    for number, lines in enumerate(jobs, start=1):
        path = folder / f"job-{number}.jsonl"
        path.write_text("".join(f"{line}\n" for line in lines), newline="\n")
        sources.append(
            Source(
                path=path,
                job=f"job-{number}",
                run=f"run-{number}",
                items=len(lines),
                params=params[number - 1] if params else {},
            )
        )
    return sources


def make_table(
    folder: Path,
    jobs: Sequence[Sequence[str]],
    *,
    params: Sequence[Mapping[str, Any]] = (),
    seen: Seen | None = None,
    plan: ResultsPlan | None = None,
    sizes: TableSizes = USUAL_SIZES,
    **asked: Any,
) -> Table:
    """Writes the table of these jobs into a folder, which it empties first."""
    sources = sources_in(folder.parent, jobs, params)
    folder.mkdir(exist_ok=True)
    plan = plan or ResultsPlan(**asked)
    return write_table(lambda: sources, plan, folder, seen=seen, sizes=sizes)


def read_back(folder: Path) -> list[tuple[str, Any]]:
    """The job and the item of each row, as before the merge."""
    facts = json.loads((folder / "columns.json").read_text())
    match ResultsFormat(facts["format"]):
        case ResultsFormat.JSONL:
            return list(_from_jsonl(folder / "items.jsonl", facts["columns"]))
        case ResultsFormat.CSV:
            rows = list(_csv_rows((folder / "items.csv").read_bytes().decode()))
            names, *rest = rows
            cells = [dict(enumerate(row)) for row in rest]
            assert [column["name"] for column in facts["columns"]] == names
        case ResultsFormat.PARQUET:
            from pyarrow import parquet

            table = parquet.read_table(folder / "items.parquet", partitioning=None)
            assert [column["name"] for column in facts["columns"]] == table.column_names
            lists = [column.to_pylist() for column in table.columns]
            cells = [dict(enumerate(row)) for row in zip(*lists, strict=True)]
    return [_item(row, facts["columns"]) for row in cells]


def exact(text: str) -> Any:
    """A JSON value whose numbers keep all digits."""
    return json.loads(text, parse_float=Decimal, parse_constant=lambda word: (NOT_A_NUMBER, word))


def rejected(folder: Path) -> list[dict[str, Any]]:
    """The lines of `rejects.jsonl`."""
    return [json.loads(line) for line in (folder / "rejects.jsonl").read_text().splitlines()]


def _from_jsonl(path: Path, columns: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, Any]]:
    ours = {column["name"]: column["from"] for column in columns if column["from"] != "field"}
    by_origin = {origin: name for name, origin in ours.items()}
    for line in path.read_bytes().decode(errors="surrogateescape").split("\n")[:-1]:
        row = exact(line)
        job = row[by_origin["job"]]
        if by_origin.get("item") in row:
            yield job, row[by_origin["item"]]
        else:
            yield job, {name: value for name, value in row.items() if name not in ours}


def _item(row: Mapping[int, Any], columns: Sequence[Mapping[str, str]]) -> tuple[str, Any]:
    by_origin = {column["from"]: row[place] for place, column in enumerate(columns)}
    if by_origin.get("item") is not None:
        return by_origin["job"], exact(by_origin["item"])
    nulls = json.loads(by_origin.get("null") or "[]")
    item = {}
    for place, column in enumerate(columns):
        if column["from"] != "field":
            continue
        value = row[place]
        if value is not None:
            item[column["of"]] = _value(value, column["kind"])
        elif column["empty"] == "null" or column["of"] in nulls:
            item[column["of"]] = None
    return by_origin["job"], item


def _value(value: Any, kind: str) -> Any:
    if isinstance(value, str) and kind != "text":
        return exact(value)
    return exact(json.dumps(value)) if isinstance(value, float) else value


def _csv_rows(text: str) -> Iterator[list[str | None]]:
    """The cells of each row; None for one that is empty without quotes."""
    row: list[str | None] = []
    place = 0
    while place < len(text):
        found = CELL.match(text, place)
        assert found is not None, text[place : place + 80]
        cell, end = found.groups()
        row.append(cell[1:-1].replace('""', '"') if cell.startswith('"') else cell or None)
        if end == "\n":
            yield row
            row = []
        place = found.end()


def csv_rows(path: Path) -> list[dict[str, str]]:
    """A file of CSV, as Python's own reader reads it."""
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))
