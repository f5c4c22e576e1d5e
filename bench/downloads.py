"""One large dataset to disk, beside curl."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from bench.measuring import Taken, measure, workplace

MBYTES = 1000
FETCH = """
import gc, os, sys
from orchestrator.cli.main import ALLOCATIONS_BETWEEN_COLLECTIONS
from orchestrator.cli.quick_imports import quick_imports
# As the command does it: few collections of garbage, imports that are quick, and an end that leaves
# the memory to the system.
gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS)
with quick_imports():
    from bench.fetch_dataset import download
download(*sys.argv[1:])
sys.stderr.flush()
os._exit(0)
"""
LINES = {"as fast as loopback goes": 0, "a line of 300 MB/s": 300, "a line of 100 MB/s": 100}
"""How fast the server sends, in megabytes a second; 0 for no limit."""


def run(rounds: int) -> str:
    """Downloads the same dataset in turn and returns the figures as Markdown."""
    lines = [
        f"{MBYTES:,} MB of JSON Lines from loopback to a memory file system; median of {rounds}.",
        "From the request until the file is there, and for the whole process with its start.",
        "",
        "| | | MB/s | of curl's | whole process, of curl's | peak, MB |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for line, pace in LINES.items():
        taken = _in_turn(pace, rounds)
        walls = {
            name: statistics.median(one.wall_secs for one in all_) for name, all_ in taken.items()
        }
        secs = {
            name: statistics.median(float(one.said) for one in all_) for name, all_ in taken.items()
        }
        for name, all_ in taken.items():
            peak = max(one.peak_mbytes for one in all_)
            lines.append(
                f"| {line} | {name} | {MBYTES / secs[name]:.0f} | {secs['curl'] / secs[name]:.2f} "
                f"| {walls['curl'] / walls[name]:.2f} | {peak:.0f} |"
            )
    return "\n".join(lines)


def _in_turn(pace: int, rounds: int) -> dict[str, list[Taken]]:
    taken: dict[str, list[Taken]] = {"orchestrator": [], "curl": []}
    with workplace() as folder:
        command = [sys.executable, "-m", "bench.big_dataset", str(MBYTES), str(pace)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            for _ in range(rounds):
                taken["orchestrator"].append(_ours(url, folder / "ours"))
                taken["curl"].append(_curl(url, folder / "theirs"))
        finally:
            server.kill()
            server.wait()
    return taken


def _ours(url: str, folder: Path) -> Taken:
    try:
        return measure([sys.executable, "-c", FETCH, url, str(folder)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _curl(url: str, folder: Path) -> Taken:
    folder.mkdir()
    try:
        tell = ["-w", "%{stderr}%{time_total}"]
        items = f"{url}/v2/datasets/x/items"
        return measure(["curl", "-s", *tell, "-o", str(folder / "items"), items])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
