"""The cost of planning and validating large sweeps, beside the bare work."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from bench.measuring import Taken, measure, workplace

SPEC = """
[batch]
name = "planned"
[[jobs]]
name = "job-{{ city }}-{{ n }}"
actor = "me/actor"
input = { url = "https://example.com/{{ city }}?page={{ n }}", n = "{{ n }}" }
matrix = { rows = { file = "rows.csv" } }
"""
SMALL = """
[batch]
name = "small"
[[jobs]]
name = "job-{{ n }}"
actor = "me/actor"
input = { n = "{{ n }}" }
matrix = { n = { range = [1, 100] } }
"""


def run(rows: int, rounds: int) -> str:
    """Measures in turn and returns the figures as Markdown."""
    with workplace() as folder:
        _write(folder / "rows", rows)
        _write(folder / "many", 10 * rows)
        (folder / "small.toml").write_text(SMALL)
        plan, bare = [], []
        for _ in range(rounds):
            plan.append(_ours("plan", folder / "rows" / "spec.toml"))
            bare.append(_bare(folder / "rows" / "rows.csv"))
        many = [
            (command, _ours(command, folder / "many" / "spec.toml"))
            for command in ("plan", "validate")
        ]
        small = [_ours("validate", folder / "small.toml") for _ in range(5)]
    ours, least = (statistics.median(one.cpu_secs for one in taken) for taken in (plan, bare))
    peak = max(one.peak_mbytes for one in plan)
    quick = statistics.median(one.wall_secs for one in small)
    return "\n".join(
        [
            "The bare work is Python's csv, two compiled Jinja templates and a JSON dump a row.",
            "",
            "| | CPU, s | of the bare work's | peak, MB |",
            "| --- | ---: | ---: | ---: |",
            f"| `plan`, {rows:,} rows of CSV | {ours:.1f} | {ours / least:.2f} | {peak:.0f} |",
            f"| the bare work | {least:.1f} | 1.00 | |",
            *(
                f"| `{name}`, {10 * rows:,} rows | {one.cpu_secs:.1f} | | {one.peak_mbytes:.0f} |"
                for name, one in many
            ),
            f"| `validate`, 100 jobs: {quick:.2f} s as a whole process | | | |",
        ]
    )


def _write(folder: Path, rows: int) -> None:
    folder.mkdir()
    (folder / "spec.toml").write_text(SPEC)
    with (folder / "rows.csv").open("w") as file:
        file.write("city,n\n")
        for n in range(rows):
            file.write(f"city-{n % 997},{n}\n")


def _ours(command: str, spec: Path) -> Taken:
    words = ["--output", str(spec.parent / "output")]
    return measure([sys.executable, "-m", "orchestrator", command, str(spec), *words])


def _bare(path: Path) -> Taken:
    return measure([sys.executable, "-m", "bench.bare_plan", str(path)])
