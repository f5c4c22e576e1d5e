"""
The items of all jobs as one table in `results/`, out of core: by DuckDB, which is an extra.

Only jobs that succeeded are in it. The folder appears whole, or stays as it was.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from orchestrator import events
from orchestrator.app.folders import LEDGER, batches
from orchestrator.collector.items import items_name
from orchestrator.errors import OrchestratorError
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import Batch, ResultsFormat, ResultsPlan
from orchestrator.model.states import JobStatus

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_LIMIT = "640MB"
SAMPLE = 200
EVERY = -1
LARGEST_ITEM_BYTES = 64 * 1024 * 1024
NESTED = ("STRUCT", "MAP", "LIST", "JSON", "UNION")
COPY_OPTIONS = {
    ResultsFormat.JSONL: "FORMAT json",
    ResultsFormat.CSV: "FORMAT csv, HEADER",
    ResultsFormat.PARQUET: "FORMAT parquet, COMPRESSION zstd",
}


class NotMerged(OrchestratorError):
    """
    The results could not be put together; the items of the jobs are on disk all the same.
    """

    exit_code = 1


async def merged(folder: Path, batch: Batch) -> Batch:
    """
    Merges the results of a batch, if it is to have any; its exit code tells when that fails.
    """
    plan = batch.plan.results
    if plan is None:
        return batch
    try:
        rows = await to_thread.run_sync(merge_results, folder, plan)
    except NotMerged as error:
        events.warning("results_not_merged", error=str(error))
        return replace(batch, exit_code=max(batch.exit_code or 0, error.exit_code))
    events.info("results_merged", rows=rows)
    return batch


def merge_results(folder: Path, plan: ResultsPlan) -> int:
    """
    Puts the items of a batch together, in the caller's thread; returns how many rows there are.

    Raises:
        NotMerged: the library is missing, or cannot do it.
    """
    try:
        import duckdb
    except ImportError as error:
        raise NotMerged(
            "[results] needs a library that is not installed: pip install 'orchestrator[results]'"
        ) from error
    part = folder / ".results.new"
    try:
        try:
            rows = _write(folder, part, plan, sample_size=SAMPLE)
        except duckdb.DataError:
            # Some item is of another kind than the first ones of its file: look at all of them.
            rows = _write(folder, part, plan, sample_size=EVERY)
    except duckdb.Error as error:
        raise NotMerged(f"results could not be merged: {str(error).splitlines()[0]}") from error
    else:
        _publish(part, folder / "results")
        return rows
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(folder: Path, part: Path, plan: ResultsPlan, *, sample_size: int) -> int:
    """
    Writes the table into a folder of its own.

    Args:
        sample_size: items of each file that tell the schema; -1 for all.
    """
    import duckdb

    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    work = part / ".work"
    work.mkdir()
    target = part / f"items.{plan.format.value}"
    files, params = _write_manifest(folder, work / "jobs.jsonl")
    if not files:
        target.touch()
        shutil.rmtree(work)
        return 0
    with duckdb.connect(str(work / "items.duckdb"), config=_config(work)) as db:
        fields = _fields(db, files, sample_size)
        db.execute(f"CREATE VIEW items AS {_reading(files, fields)}")
        db.execute(
            f"CREATE TABLE jobs AS SELECT * FROM read_json({_text(work / 'jobs.jsonl')}, "
            "format = 'newline_delimited', sample_size = -1)"
        )
        if plan.unique:
            _keep_one_of_each(db, plan)
        query = _query(plan, fields, params)
        if plan.new_only and (earlier := _earlier_files(folder)):
            keys = {name: kind for name, kind in fields.items() if name in plan.unique}
            query += f" ANTI JOIN ({_reading(earlier, keys)}) AS earlier ON {_same(plan)}"
        partition, where = "", target
        if plan.partition_by:
            columns = ", ".join(map(_name, plan.partition_by))
            partition, where = f", PARTITION_BY ({columns}), OVERWRITE_OR_IGNORE", part
        found = db.execute(
            f"COPY ({query}) TO {_text(where)} ({COPY_OPTIONS[plan.format]}{partition})"
        ).fetchone()
    shutil.rmtree(work)
    return int(found[0]) if found else 0


def _config(work: Path) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": MEMORY_LIMIT,
        "threads": 2,
        "temp_directory": str(work / "spilled"),
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def _fields(db: DuckDBPyConnection, files: Sequence[Path], sample_size: int) -> dict[str, str]:
    """
    The fields of all items and their kinds, over all files.

    Fields that no sample has are looked for: they would be left out without a word.
    """
    listed = ", ".join(map(_text, files))
    options = f"format = 'newline_delimited', maximum_object_size = {LARGEST_ITEM_BYTES}"
    query = (
        f"DESCRIBE SELECT * FROM read_json([{listed}], {options}, union_by_name = true, "
        f"sample_size = {sample_size})"
    )
    fields = {name: kind for name, kind, *_ in db.execute(query).fetchall()}
    if sample_size == EVERY:
        return fields
    keys = f"SELECT DISTINCT unnest(json_keys(json)) FROM read_json_objects([{listed}], {options})"
    may_lack = any("STRUCT" in kind for kind in fields.values())
    if may_lack or {name for (name,) in db.execute(keys).fetchall()} - fields.keys():
        return _fields(db, files, EVERY)
    return fields


def _keep_one_of_each(db: DuckDBPyConnection, plan: ResultsPlan) -> None:
    """
    Puts the items into a table on disk, and drops all but one of those with the same values.

    Only keys and numbers of rows are grouped: whole items would have to fit into memory.
    """
    names = ", ".join(map(_name, plan.unique))
    db.execute("ALTER VIEW items RENAME TO all_items")
    db.execute("CREATE TABLE items AS SELECT * FROM all_items")
    db.execute(
        f"DELETE FROM items WHERE rowid NOT IN (SELECT min(rowid) FROM items GROUP BY {names})"
    )


def _write_manifest(folder: Path, manifest: Path) -> tuple[list[Path], list[str]]:
    """
    A line for each job that succeeded and has items; returns their files and all parameters.
    """
    files, params = [], {}
    with manifest.open("w") as file:
        for path, line in _lines(folder):
            files.append(path)
            file.write(json.dumps({"_file": str(path), **line}) + "\n")
            params.update(dict.fromkeys(line))
    return files, [name for name in params if name not in ("_job", "_run")]


def _lines(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    with LedgerReader(folder / LEDGER) as reader:
        for report in reader.reports():
            job = report.job
            if report.status is not JobStatus.SUCCEEDED or not report.size_bytes:
                continue
            path = folder / "jobs" / job.key / items_name(job.collect.query)
            if path.is_file():
                yield path, {"_job": job.key, "_run": report.run_id, **job.params}


def _earlier_files(folder: Path) -> list[Path]:
    """
    The items of the last batch of this name before this one.
    """
    for other in batches(folder.parent):
        if other.name < folder.name:
            return [path for path, _ in _lines(other)]
    return []


def _query(plan: ResultsPlan, fields: dict[str, str], params: Sequence[str]) -> str:
    columns = ["jobs._job", "jobs._run"]
    columns += [f"jobs.{_name(p)} AS {_name(p if p not in fields else f'_{p}')}" for p in params]
    columns += [
        f"{_shown(plan, name, kind)} AS {_name(name)}"
        for name, kind in fields.items()
        if name not in ("_job", "_run")
    ]
    return f"SELECT {', '.join(columns)} FROM items JOIN jobs USING (_file)"


def _same(plan: ResultsPlan) -> str:
    return " AND ".join(
        f"earlier.{_name(name)} IS NOT DISTINCT FROM items.{_name(name)}" for name in plan.unique
    )


def _shown(plan: ResultsPlan, name: str, kind: str) -> str:
    """
    A field as it is written: what is nested as JSON in CSV, and no formula where none is wanted.
    """
    column = f"items.{_name(name)}"
    if plan.format is not ResultsFormat.CSV:
        return column
    if kind.startswith(NESTED) or kind.endswith("[]"):
        column = f"to_json({column})::VARCHAR"
    if plan.csv_safe and (kind == "VARCHAR" or column.endswith("::VARCHAR")):
        return f"regexp_replace({column}, '^([=+@\\t\\r-])', '''\\1')"
    return column


def _reading(files: Sequence[Path], fields: Mapping[str, str]) -> str:
    columns = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in fields.items())
    return (
        f"SELECT * FROM read_json([{', '.join(map(_text, files))}], format = 'newline_delimited', "
        f"columns = {{{columns}}}, filename = '_file', maximum_object_size = {LARGEST_ITEM_BYTES})"
    )


def _name(column: str) -> str:
    escaped = column.replace('"', '""')
    return f'"{escaped}"'


def _text(value: object) -> str:
    escaped = str(value).replace("'", "''")
    return f"'{escaped}'"


def _publish(part: Path, results: Path) -> None:
    """
    Flushes what was written and gives it its name; what was there before goes.
    """
    for path in [*part.rglob("*"), part]:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(handle)
        os.close(handle)
    old = results.with_name(".results.old")
    shutil.rmtree(old, ignore_errors=True)
    if results.exists():
        results.rename(old)
    part.rename(results)
    shutil.rmtree(old, ignore_errors=True)
