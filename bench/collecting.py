"""
Many small datasets, and their items as one table.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.measuring import Place, Taken, measure, platform, workplace
from bench.peers import orchestrator

MERGED_JOBS = 100
OURS = """
import sys
from pathlib import Path
from orchestrator.app.merging import merge_results
from orchestrator.model.batches import ResultsFormat, ResultsPlan
merge_results(Path(sys.argv[1]), ResultsPlan(format=ResultsFormat.PARQUET))
"""
THEIRS = """
import sys
import duckdb
duckdb.connect(config={"threads": 2}).execute(
    f"COPY (SELECT * FROM read_json('{sys.argv[1]}/jobs/*/items.jsonl')) "
    f"TO '{sys.argv[1]}/alone.parquet' (FORMAT parquet, COMPRESSION zstd)"
)
"""


def run(datasets: int, items: int, rounds: int) -> str:
    """
    Collects that many datasets of 10 items, merges that many items, and returns the figures.
    """
    counts: Counter[str] = Counter()
    with workplace() as folder, platform(folder / "platform", counts) as place:
        orchestrator(place, folder / "results", datasets)
    reads = counts["GET datasets/…/items"] / datasets
    with workplace() as folder:
        with platform(folder / "platform") as place:
            batch = _batch(place, folder, items)
        taken: dict[str, list[Taken]] = {"orchestrator": [], "DuckDB alone": []}
        for _ in range(rounds):
            for name, code in (("orchestrator", OURS), ("DuckDB alone", THEIRS)):
                taken[name].append(measure([sys.executable, "-c", code, str(batch)]))
    walls = {name: statistics.median(one.wall_secs for one in all_) for name, all_ in taken.items()}
    lines = [
        f"{datasets:,} datasets of 10 items: {reads:.3f} reads each.",
        "",
        f"{items:,} items of {MERGED_JOBS} jobs as one Parquet file; median of {rounds}.",
        "",
        "| | seconds | of DuckDB's alone | peak, MB |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, wall in walls.items():
        peak = max(one.peak_mbytes for one in taken[name])
        share = wall / walls["DuckDB alone"]
        lines.append(f"| {name} | {wall:.2f} | {share:.2f} | {peak:.0f} |")
    return "\n".join(lines)


def _batch(place: Place, folder: Path, items: int) -> Path:
    """
    A batch whose jobs have made that many items together.
    """
    spec = folder / "spec.toml"
    item = '{ title = "A thing", price = 12.5, tags = ["a", "b"], url = "https://example.com/a" }'
    spec.write_text(
        f'[batch]\nname = "merged"\n[[jobs]]\nname = "job-{{{{ n }}}}"\n'
        f'actor = "orchestrator/simulated"\nmatrix = {{ n = {{ range = [1, {MERGED_JOBS}] }} }}\n'
        f"input = {{ duration_secs = 0, items = {items // MERGED_JOBS}, item = {item} }}\n"
    )
    words = ["run", str(spec), "--output", str(folder / "out"), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        env={"APIFY_TOKEN": place.token, "APIFY_API_BASE_URL": place.url, "HOME": str(folder)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return Path(json.loads(done.stdout)["folder"])
