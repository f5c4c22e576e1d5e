"""The sweeps of a simulated batch whose rows are items, and what they must have made at its end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.ledger.records import JobReport
from orchestrator.model.item_sweeps import ItemSweep
from orchestrator.model.jobs import Job
from orchestrator.model.states import JobStatus
from orchestrator.specfile import load_spec
from orchestrator.specfile.items import item_sweeps
from tests.simulation.platform import OF_A_TASK, SimPlatform
from tests.simulation.simulated_run import SimRun

ROWS = 2
"""How many items of a job are rows."""

COST_USD = 0.2
SPEC = """
[batch]
name = "sim"
[defaults]
actor = "me/actor"
memory_mbytes = 512
retries = 1
input = { job = "{{ source }}", row = "{{ i }}", secs = 3.0, items = 1, outcomes = [], memory = 512, cost = 0.2 }
CAP
[[jobs]]
name = "job-1"
[[jobs]]
name = "row-{{ source }}-{{ i }}"
matrix = { rows = { needs = "job-1*", fields = ["i"], where = "i < 2" } }
[[jobs]]
name = "next-{{ source }}"
matrix = { rows = { needs = "row-job-1-*", fields = ["i"] } }
"""  # noqa: E501


@cache
def sim_sweeps(*, has_cap: bool) -> tuple[ItemSweep, ...]:
    """A sweep of the items of some jobs, and one of the items of a part of those."""
    cap = "max_total_charge_usd = 1" if has_cap else ""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "spec.toml"
        path.write_text(SPEC.replace("CAP", cap))
        return item_sweeps(load_spec(path), params={}, today=date(2026, 11, 25))


def expected_rows(jobs: Iterable[Job]) -> Iterator[str]:
    """The keys of all jobs that must have been made when the batch has ended."""
    for job in jobs:
        given = json.loads(job.input.body) if job.input.body else OF_A_TASK
        outcomes = [*given["outcomes"], "SUCCEEDED"][: job.retries + 1]
        if "refuse" in given or outcomes[-1] != "SUCCEEDED" or not job.key.startswith("job-1"):
            continue
        for i in range(min(ROWS, given["items"])):
            yield f"row-{job.key}-{i}"
            if job.key == "job-1":
                yield f"next-row-{job.key}-{i}"


def check_rows(
    folder: Path, platform: SimPlatform, expected: set[str], reports: Iterable[JobReport]
) -> None:
    """Each row is one job with one run, whose item is on disk; none is lost or there twice."""
    made = {report.job.key: report for report in reports}
    assert made.keys() == expected, f"each row a job: {expected ^ made.keys()}"
    runs: dict[int, list[SimRun]] = {}
    for run in platform.runs.values():
        runs.setdefault(run.job, []).append(run)
    for key, report in made.items():
        assert report.status is JobStatus.SUCCEEDED, f"each row settled: {key} {report}"
        of_row = runs.get(report.job.seq, [])
        assert [run.id for run in of_row] == [report.run_id], f"one run for each row: {key}"
        items = (folder / "jobs" / key / "items.jsonl").read_bytes()
        assert items == b'{"i":0}\n', f"each item of a row on disk once: {key} has {items!r}"
