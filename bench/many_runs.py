"""A thousand runs of ten minutes at once: requests, memory and descriptors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

from bench.measuring import Place, Taken, measure, place_of, stop_platform, workplace

POLL_SECS = 60
PAUSE_SECS = 1.0


def run(runs: int, secs: int) -> str:
    """Follows all runs to their ends and returns the figures as Markdown."""
    with workplace() as folder:
        command = [sys.executable, "-m", "bench.counting_platform", str(folder / "data"), str(runs)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
            taken, most = _follow(folder, place_of(server), runs, secs)
            counts: dict[str, int] = stop_platform(server)["counts"]
    hours = runs * secs / 3600
    a_run_hour = sum(counts.values()) / hours
    kinds = sorted(counts.items(), key=lambda item: -item[1])[:4]
    return "\n".join(
        [
            f"{runs:,} simulated runs of {secs} s at once; each poll waits {POLL_SECS} s.",
            "",
            "| | |",
            "| --- | ---: |",
            f"| requests a run-hour | {a_run_hour:.1f} |",
            f"| beyond the {3600 // POLL_SECS} polls | {a_run_hour - 3600 / POLL_SECS:.1f} |",
            *(f"| {kind}, a run | {count / runs:.2f} |" for kind, count in kinds),
            f"| peak memory, MB | {taken.peak_mbytes:.0f} |",
            f"| most open descriptors | {most:,} |",
            f"| processor time a run, ms | {taken.cpu_secs / runs * 1000:.1f} |",
        ]
    )


def _follow(folder: Path, place: Place, runs: int, secs: int) -> tuple[Taken, int]:
    """Runs the batch; returns what it used, and the most descriptors that it had at once."""
    (folder / "spec.toml").write_text(
        f'[batch]\nname = "many"\nmax_runs = {runs}\n[defaults]\nmemory_mbytes = 128\n'
        '[[jobs]]\nname = "job-{{ n }}"\nactor = "orchestrator/simulated"\n'
        f"input = {{ duration_secs = {secs}, items = 1 }}\n"
        f"matrix = {{ n = {{ range = [1, {runs}] }} }}\n"
    )
    words = ["run", str(folder / "spec.toml"), "--output", str(folder / "output")]
    most, ended = [0], Event()
    watcher = Thread(target=_watch, args=(str(folder / "output"), most, ended))
    watcher.start()
    try:
        taken = measure(
            [sys.executable, "-m", "orchestrator", *words],
            {"APIFY_TOKEN": place.token, "APIFY_API_BASE_URL": place.url},
        )
    finally:
        ended.set()
        watcher.join()
    return taken, most[0]


def _watch(output: str, most: list[int], ended: Event) -> None:
    """Looks again and again at the child of this process that was called with that folder."""
    while not ended.wait(PAUSE_SECS):
        for child in _children():
            try:
                if output.encode() in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                    most[0] = max(most[0], len([*Path(f"/proc/{child}/fd").iterdir()]))
            except OSError:
                continue  # It has ended.


def _children() -> list[str]:
    tasks = Path("/proc/self/task").glob("*/children")
    return [child for path in tasks for child in path.read_text().split()]
