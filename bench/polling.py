"""A thousand runs at once: the memory of open polls, and the delay until an end is noticed."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

from bench.measuring import Place, measure, platform, workplace

RUNS = 1000
SECS = (15, 30)


def run() -> str:
    """Follows all runs to their ends and returns the figures as Markdown."""
    with workplace() as folder, platform(folder / "platform", None, str(RUNS)) as place:
        peak = _follow(folder, place)
        delays = sorted(_delays(folder / "out" / "polling" / "latest"))
    return "\n".join(
        [
            f"{RUNS:,} runs of {SECS[0]} to {SECS[1]} s at once.",
            "",
            "| | |",
            "| --- | ---: |",
            f"| peak memory, MB | {peak:.0f} |",
            f"| end of a run noticed after, median, ms | {delays[len(delays) // 2]:.0f} |",
            f"| 99th percentile, ms | {delays[len(delays) * 99 // 100]:.0f} |",
        ]
    )


def _follow(folder: Path, place: Place) -> float:
    """Runs the batch; returns the most memory that it held, in megabytes."""
    low, high = SECS
    (folder / "spec.toml").write_text(
        f'[batch]\nname = "polling"\nmax_runs = {RUNS}\n[defaults]\nmemory_mbytes = 128\n'
        f'[[jobs]]\nname = "job-{{{{ n }}}}"\nactor = "orchestrator/simulated"\n'
        f'input = {{ duration_secs = "{{{{ {low} + n * {high - low} / {RUNS} }}}}", items = 1 }}\n'
        f"matrix = {{ n = {{ range = [1, {RUNS}] }} }}\n"
    )
    words = ["run", folder / "spec.toml", "--output", folder / "out", "--log-level", "debug"]
    taken = measure(
        [sys.executable, "-m", "orchestrator", *map(str, words)],
        {"APIFY_TOKEN": place.token, "APIFY_API_BASE_URL": place.url},
    )
    return taken.peak_mbytes


def _delays(batch: Path) -> list[float]:
    """How long after its end each run was known to have ended, in milliseconds."""
    noticed = {}
    for line in (batch / "log.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "run_finished":
            noticed[event["job"]] = datetime.fromisoformat(event["at"])
    delays = []
    for key, at in noticed.items():
        run_json = json.loads((batch / "jobs" / key / "run.json").read_text())
        ended = datetime.fromisoformat(run_json["finishedAt"])
        delays.append((at - ended).total_seconds() * 1000)
    return delays
