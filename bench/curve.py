"""How the cost of a job grows with the number of concurrent runs."""

from __future__ import annotations

import statistics

from bench.measuring import platform, workplace
from bench.peers import INPUT, orchestrator

SIZES = {10: (300, 1000), 100: (500, 2500), 1000: (2000, 6000)}
"""For each number of concurrent runs, two numbers of jobs: both are enough to reach it."""


def run(rounds: int) -> str:
    """Measures all numbers of concurrent runs in turn and returns the figures as Markdown."""
    micros: dict[int, list[float]] = {at_once: [] for at_once in SIZES}
    most = str(max(SIZES))
    with workplace() as folder, platform(folder / "platform", None, most) as place:
        for number in range(rounds):
            for at_once, (small, large) in SIZES.items():
                less, more = (
                    orchestrator(
                        place, folder / f"{at_once}-{jobs}-{number}", jobs, at_once=at_once
                    ).cpu_secs
                    for jobs in (small, large)
                )
                micros[at_once].append((more - less) / (large - small) * 1e6)
    least = statistics.median(micros[min(SIZES)])
    lines = [
        f"Jobs of {INPUT['duration_secs']} s; the median of {rounds} rounds.",
        "",
        f"| runs at once | CPU a job, µs | of that with {min(SIZES)} |",
        "| ---: | ---: | ---: |",
    ]
    for at_once, slopes in micros.items():
        micro = statistics.median(slopes)
        lines.append(f"| {at_once:,} | {micro:.0f} | {micro / least:.2f} |")
    return "\n".join(lines)
