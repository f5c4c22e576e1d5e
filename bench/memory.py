"""How memory grows with the number of jobs in a batch."""

from __future__ import annotations

from collections.abc import Sequence

from bench.measuring import platform, workplace
from bench.peers import orchestrator

MOMENTS = (0.2, 0.5, 0.9)
"""Shares of the time, at which the memory is shown beside its peak."""


def run(sizes: Sequence[int]) -> str:
    """Measures batches of each size, smallest first, and returns the figures as Markdown."""
    moments = "".join(f" at {share:.0%} of the time |" for share in MOMENTS)
    lines = [
        f"| jobs |{moments} peak | peak beyond the smallest batch's |",
        "| ---: |" + " ---: |" * (len(MOMENTS) + 2),
    ]
    peaks: list[float] = []
    with workplace() as folder, platform(folder / "platform") as place:
        for size in sorted(sizes):
            held: list[float] = []
            peaks.append(orchestrator(place, folder / str(size), size, resident=held).peak_mbytes)
            shown = [f"{held[int(share * len(held))]:.0f}" if held else "" for share in MOMENTS]
            figures = [*shown, f"{peaks[-1]:.0f}", f"{peaks[-1] - peaks[0]:.0f}"]
            lines.append(f"| {size:,} | {' | '.join(figures)} |")
    return "\n".join(lines)
