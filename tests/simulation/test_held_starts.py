"""Synchronous starts: answered by the output of runs, which lists show only later."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from orchestrator.apify import Request
from orchestrator.ledger import LedgerReader, create_ledger
from orchestrator.ledger.records import JobReport
from orchestrator.model.jobs import CollectPlan, Job, JobInput, Mode, RunOptions
from orchestrator.model.states import JobStatus
from tests.simulation.conditions import EPOCH
from tests.simulation.mortal_process import Life
from tests.simulation.platform import SimPlatform
from tests.simulation.simulated_batch import process
from tests.support.builders import make_batch, make_job
from tests.support.scripted_transport import Reply, reply
from tests.support.virtual_time import run_virtual

JOBS = 4


@dataclass
class CountingPlatform(SimPlatform):
    """Has no faults, but may show no runs; counts its requests."""

    trouble: float = 0.0
    lists_nothing: bool = False
    asked: Counter[str] = field(default_factory=Counter)

    async def answer(self, request: Request) -> Reply:
        """Answers without a fault."""
        path = urlsplit(request.url).path
        self.asked[path.rpartition("/")[2]] += 1
        answer = await super().answer(request)
        is_list = request.method == "GET" and path.endswith("runs")
        nothing: dict[str, Any] = {"total": 0, "count": 0, "items": []}
        return reply(200, {"data": nothing}) if self.lists_nothing and is_list else answer


def sync_job(seq: int, mode: Mode = Mode.SYNC) -> Job:
    given = {"job": seq, "secs": 3.0, "items": 2, "outcomes": [], "memory": 512}
    return make_job(
        seq,
        mode=mode,
        input=JobInput(body=json.dumps(given).encode()),
        options=RunOptions(memory_mbytes=512),
        collect=CollectPlan(items=False, output=True),
    )


def play(folder: Path, platform: CountingPlatform) -> list[JobReport]:
    """Plays one batch to its end."""
    jobs = [sync_job(seq) for seq in range(JOBS)]
    create_ledger(folder / "ledger.sqlite", replace(make_batch(), created_at=EPOCH), jobs)

    async def batch() -> None:
        await process(folder, platform, Random(1), Life())  # noqa: S311 - to be repeatable

    run_virtual(batch)
    with LedgerReader(folder / "ledger.sqlite") as reader:
        return list(reader.reports())


def test_answer_of_a_synchronous_start_is_the_output(tmp_path: Path) -> None:
    """The output that answers a synchronous start is kept, and not requested again."""
    platform = CountingPlatform(1)
    reports = play(tmp_path, platform)
    assert {report.status for report in reports} == {JobStatus.SUCCEEDED}
    outputs = [
        json.loads((tmp_path / "jobs" / report.job.key / "output.json").read_bytes())
        for report in reports
    ]
    assert outputs == [{"of": report.run_id} for report in reports]
    assert platform.asked["OUTPUT"] == 0
    assert platform.asked["run-sync"] == JOBS


def test_answered_synchronous_start_is_not_sent_again(tmp_path: Path) -> None:
    """If no list shows the run that answered, its job fails: a second run is never paid."""
    platform = CountingPlatform(1, lists_nothing=True)
    reports = play(tmp_path, platform)
    assert {report.status for report in reports} == {JobStatus.FAILED}
    assert all("answered" in (report.error or "") for report in reports), reports[0].error
    assert len(platform.runs) == JOBS
