"""Many small datasets, and their items as one table."""

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
SETTLE_SECS = 10
OURS = """
import sys
from pathlib import Path
from orchestrator.app.outputs.merge import merge_results
from orchestrator.model.batches import ResultsFormat, ResultsPlan
merge_results(Path(sys.argv[2]), ResultsPlan(format=ResultsFormat(sys.argv[1])))
"""
FORMATS = {"jsonl": "JSON Lines", "parquet": "Parquet"}


def run(datasets: int, items: int, rounds: int) -> str:
    """Collects that many datasets of 10 items, merges that many items, and returns the figures."""
    with workplace() as folder:
        with platform(folder / "platform") as place:
            batch = make_batch(place, folder, items)
        taken: dict[tuple[str, str], list[Taken]] = {}
        for _ in range(rounds):
            for format_ in FORMATS:
                for name, command in (
                    ("orchestrator", ["-c", OURS, format_, str(batch)]),
                    ("bare loop", ["-m", "bench.bare_merge", format_, str(batch)]),
                ):
                    done = measure([sys.executable, *command])
                    taken.setdefault((format_, name), []).append(done)
    walls = {key: statistics.median(one.wall_secs for one in all_) for key, all_ in taken.items()}
    lines = [
        settled(datasets),
        "",
        f"{items:,} items of {MERGED_JOBS} jobs as one file; median of {rounds}.",
        "The bare loop parses with orjson, knows the columns, and writes with orjson or pyarrow.",
        "",
        "| | | seconds | of the bare loop's | peak, MB |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for (format_, name), wall in walls.items():
        peak = max(one.peak_mbytes for one in taken[format_, name])
        share = wall / walls[format_, "bare loop"]
        lines.append(f"| {FORMATS[format_]} | {name} | {wall:.2f} | {share:.2f} | {peak:.0f} |")
    return "\n".join(lines)


def settled(datasets: int) -> str:
    """Collects that many datasets of 10 items, each ten seconds after its run's end."""
    counts: Counter[str] = Counter()
    with workplace() as folder, platform(folder / "platform", counts) as place:
        taken = orchestrator(place, folder / "results", datasets, settle_secs=SETTLE_SECS)
        summary = folder / "results" / "out" / "bench" / "latest" / "summary.json"
        proven = json.loads(summary.read_text())["proven"]
    reads, requests = counts["GET datasets/…/items"] / datasets, counts.total() / datasets
    return (
        f"{datasets:,} datasets of 10 items, each downloaded {SETTLE_SECS} s after its run's end: "
        f"{proven:,} proven complete with {requests:.2f} requests a job, {reads:.3f} of them reads "
        f"of items; {taken.wall_secs:.0f} s, peak {taken.peak_mbytes:.0f} MB."
    )


def make_batch(place: Place, folder: Path, items: int) -> Path:
    """A batch whose jobs have made that many items together."""
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
