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


def run(rounds: int) -> str:
    """
    Fetches the same dataset in turn and returns the figures as Markdown.
    """
    taken: dict[str, list[Taken]] = {"orchestrator": [], "curl": []}
    with workplace() as folder:
        command = [sys.executable, "-m", "bench.big_dataset", str(MBYTES)]
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
    walls = {name: statistics.median(one.wall_secs for one in all_) for name, all_ in taken.items()}
    lines = [
        f"{MBYTES:,} MB of JSON Lines from loopback to a memory file system; median of {rounds}.",
        "",
        "| | MB/s | of curl's | peak, MB |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, all_ in taken.items():
        peak = max(one.peak_mbytes for one in all_)
        share = walls["curl"] / walls[name]
        lines.append(f"| {name} | {MBYTES / walls[name]:.0f} | {share:.2f} | {peak:.0f} |")
    return "\n".join(lines)


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
