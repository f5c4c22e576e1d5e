"""What a job costs beyond its run, beside a bare loop and the official client."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.measuring import TASKS, Taken, platform, workplace
from bench.peers import AT_ONCE, BARE, INPUT, OFFICIAL, PEERS

Measured = dict[tuple[str, int], list[Taken]]


def run(sizes: Sequence[int], rounds: int) -> str:
    """
    Measures all peers in turn and returns the figures as Markdown.

    Args:
        sizes: two numbers of jobs; what a start costs drops out of their difference.
        rounds: how often; each begins with another peer.
    """
    small, large = sizes
    taken: Measured = {}
    with workplace() as folder, platform(folder / "platform") as place:
        for number in range(rounds):
            for size in sizes:
                for name in _turned(list(PEERS), number):
                    results = folder / f"{name.replace(' ', '-')}-{size}-{number}"
                    took = PEERS[name](place, results, size)
                    taken.setdefault((name, size), []).append(took)
    lines = [
        (
            f"Simulated jobs of {INPUT['duration_secs']} s with {INPUT['items']} items, {AT_ONCE} "
            f"at once, spread over {TASKS} tasks; CPU per job is the slope from {small:,} to "
            f"{large:,} jobs, the median of {rounds} rounds; time and memory are those of "
            f"{large:,} jobs."
        ),
        "",
        "| | CPU a job, µs | of the bare loop's | of the official client's | wall, s | peak, MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    slopes = {name: _micros_per_job(taken, name, small, large) for name in PEERS}
    for name, slope in slopes.items():
        wall = statistics.median(each.wall_secs for each in taken[name, large])
        peak = statistics.median(each.peak_mbytes for each in taken[name, large])
        shares = f"{slope / slopes[BARE]:.2f} | {slope / slopes[OFFICIAL]:.2f}"
        lines.append(f"| {name} | {slope:.0f} | {shares} | {wall:.1f} | {peak:.0f} |")
    return "\n".join(lines)


def _turned(names: list[str], by: int) -> list[str]:
    first = by % len(names)
    return names[first:] + names[:first]


def _micros_per_job(taken: Measured, name: str, small: int, large: int) -> float:
    return statistics.median(
        (more.cpu_secs - less.cpu_secs) / (large - small) * 1e6
        for less, more in zip(taken[name, small], taken[name, large], strict=True)
    )
