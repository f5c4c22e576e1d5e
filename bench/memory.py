"""How memory grows with the number of jobs in a batch."""

from __future__ import annotations

from collections.abc import Sequence

from bench.measuring import platform, workplace
from bench.peers import orchestrator


def run(sizes: Sequence[int]) -> str:
    """Measures batches of each size, smallest first, and returns the figures as Markdown."""
    lines = ["| jobs | peak, MB | of the smallest's |", "| ---: | ---: | ---: |"]
    least = 0.0
    with workplace() as folder, platform(folder / "platform") as place:
        for size in sorted(sizes):
            peak = orchestrator(place, folder / str(size), size).peak_mbytes
            least = least or peak
            lines.append(f"| {size:,} | {peak:.0f} | {peak / least:.2f} |")
    return "\n".join(lines)
