"""What a start and a job cost on several versions of Python."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Sequence

from bench.measuring import Taken, measure, platform, workplace
from bench.peers import orchestrator

WORDS = {"`--help`": ("--help",), "`validate`, 100 jobs": ("validate", "spec.toml")}
SPEC = """
[batch]
name = "small"
[[jobs]]
name = "job-{{ n }}"
actor = "me/actor"
input = { n = "{{ n }}" }
matrix = { n = { range = [1, 100] } }
"""


def run(interpreters: Sequence[str], sizes: Sequence[int], rounds: int) -> str:
    """
    Measures the interpreters in turn and returns the figures as Markdown.

    Args:
        interpreters: their paths; each has the package installed. The first one is compared with.
        sizes: two numbers of jobs; what a start costs drops out of their difference.
        rounds: how often; the figures are medians.
    """
    small, large = sizes
    starts: dict[tuple[str, str], list[Taken]] = {}
    batches: dict[tuple[str, int], list[Taken]] = {}
    with workplace() as folder, platform(folder / "platform") as place:
        (folder / "spec.toml").write_text(SPEC)
        for python in interpreters:
            # The first call writes the bytecode of the modules.
            orchestrator(place, folder / f"warm-{interpreters.index(python)}", 8, python=python)
        for number in range(rounds):
            for python in interpreters:
                for name, words in WORDS.items():
                    command = [python, "-m", "orchestrator", *words]
                    starts.setdefault((python, name), []).append(measure(command, cwd=folder))
                for size in sizes:
                    home = folder / f"{interpreters.index(python)}-{size}-{number}"
                    took = orchestrator(place, home, size, python=python)
                    batches.setdefault((python, size), []).append(took)
    lines = [
        (
            f"Processor time, the median of {rounds}. A job is one of `overhead`, the slope from "
            f"{small:,} to {large:,} jobs."
        ),
        "",
        f"| Python | {' | '.join(WORDS)} | a job | of the first | peak |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    first = 0.0
    for python in interpreters:
        pairs = zip(batches[python, small], batches[python, large], strict=True)
        slopes = [(more.cpu_secs - less.cpu_secs) / (large - small) * 1e6 for less, more in pairs]
        micros = statistics.median(slopes)
        first = first or micros
        cpu = [statistics.median(one.cpu_secs for one in starts[python, name]) for name in WORDS]
        peak = max(one.peak_mbytes for one in batches[python, large])
        lines.append(
            f"| {_version(python)} | {cpu[0]:.2f} s | {cpu[1]:.2f} s "
            f"| {micros:.0f} µs | {micros / first:.2f} | {peak:.0f} MB |"
        )
    return "\n".join(lines)


def _version(python: str) -> str:
    words = [python, "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
