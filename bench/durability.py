"""The cost of a durable ledger."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.measuring import platform, workplace
from bench.peers import orchestrator

MODULES = {"flushed to disk": "orchestrator", "in memory": "bench.forgetful"}


def run(sizes: Sequence[int], rounds: int) -> str:
    """
    Runs the same batches with both kinds of ledger in turn and returns the figures as Markdown.

    Args:
        sizes: two numbers of jobs; their difference excludes the cost of a start.
    """
    small, large = sizes
    micros: dict[str, list[float]] = {name: [] for name in MODULES}
    with ExitStack() as stack:
        place = stack.enter_context(platform(stack.enter_context(workplace()) / "platform"))
        # Flushes to a file system in memory would cost nothing.
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for number in range(rounds):
            for name, module in MODULES.items():
                home = disk / f"{module}-{number}"
                cpu = [
                    orchestrator(place, home / str(size), size, module).cpu_secs for size in sizes
                ]
                micros[name].append((cpu[1] - cpu[0]) / (large - small) * 1e6)
    durable, forgetful = (statistics.median(micros[name]) for name in MODULES)
    return "\n".join(
        [
            (
                f"CPU a job of `orchestrator run`, the slope from {small:,} to {large:,} jobs, the "
                f"median of {rounds} rounds; the results are on a disk for both."
            ),
            "",
            "| ledger | CPU a job, µs | of the one in memory |",
            "| --- | ---: | ---: |",
            f"| flushed to disk | {durable:.0f} | {durable / forgetful:.2f} |",
            f"| in memory | {forgetful:.0f} | 1.00 |",
        ]
    )
