"""The delay until the end of a run is noticed, and the memory of a thousand open polls."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

from bench.measuring import Place, measure, platform, workplace
from bench.peers import AT_ONCE, INPUT, orchestrator

RUNS = 1000
SECS = (15, 30)
SHORT_RUNS = 3000


def run() -> str:
    """Follows all runs to their ends and returns the figures as Markdown."""
    with workplace() as folder, platform(folder / "platform", None, str(RUNS)) as place:
        peak = _follow(folder, place)
        delays = _delays(folder / "out" / "polling" / "latest")
        busy = orchestrator(place, folder / "busy", SHORT_RUNS, log_level="debug")
        busy_delays = _delays(folder / "busy" / "out" / "bench" / "latest")
    return "\n".join(
        [
            (
                f"{RUNS:,} runs of {SECS[0]} to {SECS[1]} s at once; and the jobs of `overhead`, "
                f"{SHORT_RUNS:,} runs of {INPUT['duration_secs']} s, {AT_ONCE} at once, which keep "
                "the processor busy. An end is noticed when the ledger holds it."
            ),
            "",
            "| | long runs | short runs |",
            "| --- | ---: | ---: |",
            f"| peak memory, MB | {peak:.0f} | {busy.peak_mbytes:.0f} |",
            _row("end of a run noticed after, median, ms", 50, delays, busy_delays),
            _row("99th percentile, ms", 99, delays, busy_delays),
        ]
    )


def _row(name: str, percent: int, *columns: list[float]) -> str:
    cells = (f"{sorted(delays)[len(delays) * percent // 100]:.0f}" for delays in columns)
    return f"| {name} | {' | '.join(cells)} |"


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
    """How long after the end of each run the batch noticed it, in milliseconds."""
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
