"""The items of many batches as one table, and the memory that it takes."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from bench.collecting import make_batch
from bench.measuring import measure, platform, workplace

FORMATS = ("jsonl", "csv", "parquet")


def run(batches: int, items: int) -> str:
    """Exports a tenth of the batches and all of them, and returns the figures."""
    lines = [
        f"Batches of {items:,} items, exported together by `--since`.",
        "",
        "| format | batches | items | seconds | peak, MB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    with workplace() as folder:
        with platform(folder / "platform") as place:
            batch = make_batch(place, folder, items)
        made = 1
        for wanted in (batches // 10, batches):
            for number in range(made, wanted):
                _copy(batch, number)
            made = wanted
            for format_ in FORMATS:
                words = ["export", str(batch), "--since", "2000-01-01", "--format", format_]
                target = folder / f"table.{format_}"
                command = [sys.executable, "-m", "orchestrator", *words, "--output", str(target)]
                taken = measure(command)
                lines.append(
                    f"| {format_} | {wanted} | {wanted * items:,} | {taken.wall_secs:.2f} | "
                    f"{taken.peak_mbytes:.0f} |"
                )
    return "\n".join(lines)


def _copy(batch: Path, number: int) -> None:
    """Creates another batch with the same items."""
    other = batch.with_name(f"{batch.name[:-4]}{number:04x}")
    shutil.copytree(batch, other)
    with closing(sqlite3.connect(other / "ledger.sqlite")) as db, db:
        db.execute("UPDATE batch SET id = ?, number = ?", (other.name, number + 1))
