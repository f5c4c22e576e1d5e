"""The cost of making jobs of the items of other jobs, beside the bare work."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from bench.measuring import Taken, measure, workplace

SPEC = """
[batch]
name = "expanded"
[[jobs]]
name = "search-{{ n }}"
actor = "me/search"
input = { n = "{{ n }}" }
matrix = { n = { range = [1, JOBS] } }
[[jobs]]
name = "job-{{ city }}-{{ n }}"
actor = "me/actor"
input = { url = "https://example.com/{{ city }}?page={{ n }}", n = "{{ n }}" }
matrix = { rows = { needs = "search-*", fields = ["city", "n"]MORE } }
"""


KINDS = {"": "", ", distinct": ", distinct = true"}


def run(rows: int, jobs: int, rounds: int) -> str:
    """Measures in turn and returns the figures as Markdown."""
    ours: dict[str, list[Taken]] = {name: [] for name in KINDS}
    bare = []
    with workplace() as folder:
        spec, home = folder / "spec.toml", folder / "batch"
        _write(home / "jobs", rows, jobs)
        for _ in range(rounds):
            for name, more in KINDS.items():
                spec.write_text(SPEC.replace("JOBS", str(jobs)).replace("MORE", more))
                (home / "ledger.sqlite").unlink(missing_ok=True)
                ours[name].append(_measured("bench.expand_items", spec))
            bare.append(_measured("bench.bare_items", home / "jobs"))
    least = _secs(bare)
    return "\n".join(
        [
            "For each row, the bare work reads JSON, renders two Jinja templates and dumps JSON.",
            "Ours also writes all jobs into a ledger, and queues them. Both are without imports.",
            "",
            "| | CPU, s | of the bare work's | peak, MB |",
            "| --- | ---: | ---: | ---: |",
            *(
                f"| {rows:,} rows of {jobs} jobs{name} | {_secs(taken):.1f} | "
                f"{_secs(taken) / least:.2f} | {max(one.peak_mbytes for one in taken):.0f} |"
                for name, taken in ours.items()
            ),
            f"| the bare work | {least:.1f} | 1.00 | |",
        ]
    )


def _secs(taken: list[Taken]) -> float:
    """What each says on stderr that it took, without its start."""
    return statistics.median(float(one.said) for one in taken)


def _write(folder: Path, rows: int, jobs: int) -> None:
    each = rows // jobs
    for job in range(jobs):
        home = folder / f"search-{job + 1}"
        home.mkdir(parents=True)
        with (home / "items.jsonl").open("w") as file:
            for n in range(job * each, (job + 1) * each):
                file.write(f'{{"city":"city-{n % 997}","n":{n},"title":"Title {n}","price":{n}}}\n')


def _measured(module: str, path: Path) -> Taken:
    return measure([sys.executable, "-m", module, str(path)])
