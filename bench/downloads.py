"""
One large dataset to disk, beside curl.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from bench.measuring import Taken, measure, workplace

MBYTES = 1000
LINES = {"as fast as loopback goes": 0, "a line of 100 MB/s": 100}
"""
How fast the server sends, in megabytes a second; 0 for no bound.
"""


def run(rounds: int) -> str:
    """
    Fetches the same dataset in turn and returns the figures as Markdown.
    """
    lines = [
        f"{MBYTES:,} MB of JSON Lines from loopback to a memory file system; median of {rounds}.",
        "",
        "| | | MB/s | of curl's | peak, MB |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for line, pace in LINES.items():
        taken = _in_turn(pace, rounds)
        walls = {
            name: statistics.median(one.wall_secs for one in all_) for name, all_ in taken.items()
        }
        for name, all_ in taken.items():
            peak = max(one.peak_mbytes for one in all_)
            share = walls["curl"] / walls[name]
            speed = MBYTES / walls[name]
            lines.append(f"| {line} | {name} | {speed:.0f} | {share:.2f} | {peak:.0f} |")
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
        return measure([sys.executable, "-m", "bench.fetch_dataset", url, str(folder)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _curl(url: str, folder: Path) -> Taken:
    folder.mkdir()
    try:
        return measure(["curl", "-s", "-o", str(folder / "items"), f"{url}/v2/datasets/x/items"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
