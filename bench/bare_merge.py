"""
What merging is compared with: a loop that parses each item and writes the same columns.

It gets the columns as an argument. It compares, counts and flushes nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

CHUNK_BYTES = 4 * 1024 * 1024


def main() -> None:
    """Merges the items of a batch: `bare_merge jsonl|parquet FOLDER`."""
    format_, folder = sys.argv[1], Path(sys.argv[2])
    jobs = []
    for line in (folder / "jobs.jsonl").read_bytes().splitlines():
        job = orjson.loads(line)
        ours = {"_job": job["key"], "_run": job["run_id"], **job["params"]}
        jobs.append((folder / "jobs" / job["key"] / "items.jsonl", ours))
    (to_jsonl if format_ == "jsonl" else to_parquet)(jobs, folder / f"alone.{format_}")


def to_jsonl(jobs: list[tuple[Path, dict[str, Any]]], target: Path) -> None:
    """Parses and writes each line."""
    with target.open("wb") as out:
        for path, ours in jobs:
            with path.open("rb") as file:
                for line in file:
                    row = {**ours, **orjson.loads(line)}
                    out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def to_parquet(jobs: list[tuple[Path, dict[str, Any]]], target: Path) -> None:
    """Parses lines, and writes the columns of some megabytes at once."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    text = pa.string()
    ours_of = [("_job", text), ("_run", text), ("n", pa.int64())]
    fields = [
        ("index", pa.int64()), ("title", text), ("price", pa.float64()), ("tags", text),
        ("url", text),
    ]  # fmt: skip
    schema = pa.schema(ours_of + fields)
    with ParquetWriter(target, schema, compression="zstd") as writer:
        for path, ours in jobs:
            with path.open("rb") as file:
                while lines := file.readlines(CHUNK_BYTES):
                    items = [orjson.loads(line) for line in lines]
                    for item in items:
                        item["tags"] = orjson.dumps(item["tags"]).decode()
                    arrays = [pa.array([ours[name]] * len(items), kind) for name, kind in ours_of]
                    arrays += [
                        pa.array([i.get(name) for i in items], kind) for name, kind in fields
                    ]
                    writer.write_batch(pa.record_batch(arrays, schema=schema))


if __name__ == "__main__":
    main()
