"""Starts whose answers are lost repeatedly in the same way: of one job, or of all jobs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import anyio
import pytest

from orchestrator.apify import Request
from orchestrator.errors import StartUnconfirmed
from orchestrator.ledger import LedgerReader, create_ledger
from orchestrator.ledger.records import JobReport
from orchestrator.model.jobs import Mode
from orchestrator.model.states import JobStatus
from tests.simulation.conditions import EPOCH
from tests.simulation.mortal_process import Life
from tests.simulation.platform import SimPlatform
from tests.simulation.simulated_batch import process
from tests.simulation.test_held_starts import sync_job
from tests.support.builders import make_batch
from tests.support.scripted_transport import Reply, reply
from tests.support.virtual_time import run_virtual

AWAY_SECS = 3600.0


@dataclass
class Gateway(SimPlatform):
    """
    A gateway that answers some starts with a page, before they have an effect.

    Attributes:
        jobs: those that it answers, by their places in the spec.
        until: for how long, in seconds.
        sent: the starts of each job.
    """

    trouble: float = 0.0
    jobs: frozenset[int] = frozenset()
    until: float = float("inf")
    sent: Counter[int] = field(default_factory=Counter)

    async def answer(self, request: Request) -> Reply:
        """Answers, or lets the gateway answer."""
        _, is_start, mark = request.headers["User-Agent"].partition("(attempt ")
        if is_start:
            job = int(mark.split(".")[1], 36)
            self.sent[job] += 1
            if job in self.jobs and anyio.current_time() < self.until:
                return reply(400, b"<html><title>Blocked</title></html>")
        return await super().answer(request)


def play(folder: Path, platform: Gateway, count: int) -> float:
    """Plays one batch to its end; returns how long it took."""
    jobs = [sync_job(seq, Mode.ASYNC) for seq in range(count)]
    create_ledger(folder / "ledger.sqlite", replace(make_batch(), created_at=EPOCH), jobs)

    async def batch() -> float:
        await process(folder, platform, Random(1), Life())  # noqa: S311 - to be repeatable
        return anyio.current_time()

    return run_virtual(batch)


def reports_of(folder: Path) -> list[JobReport]:
    with LedgerReader(folder / "ledger.sqlite") as reader:
        return list(reader.reports())


def test_job_fails_if_only_its_start_is_lost_five_times(tmp_path: Path) -> None:
    """The job is given up only if starts of other jobs were accepted between its own."""
    platform = Gateway(3, jobs=frozenset({0}))
    play(tmp_path, platform, 300)
    first, *others = reports_of(tmp_path)
    assert first.status is JobStatus.FAILED
    assert "sent 5 times between starts of other jobs that were accepted" in (first.error or "")
    assert platform.sent[0] == 5
    assert {report.status for report in others} == {JobStatus.SUCCEEDED}


@pytest.mark.parametrize("count", [1, 4, 30])
def test_batch_stops_when_every_start_is_lost(tmp_path: Path, count: int) -> None:
    """It waits as for a platform that is away, ends with 5 and a message, and fails no job."""
    platform = Gateway(1, jobs=frozenset(range(count)))
    with pytest.raises(StartUnconfirmed, match="HTML page") as caught:
        play(tmp_path, platform, count)
    assert caught.value.exit_code == 5
    assert JobStatus.FAILED not in {report.status for report in reports_of(tmp_path)}
    assert not platform.runs
    # From five jobs on, one start is sent at a time, and seldom: jobs do not count alone.
    assert platform.sent.total() < 90 * min(count, 4)


def test_batch_continues_without_the_gateway(tmp_path: Path) -> None:
    """After twenty minutes of pages all jobs succeed, each with one run."""
    platform = Gateway(1, jobs=frozenset(range(30)), until=1200.0)
    took = play(tmp_path, platform, 30)
    assert 1200.0 < took < 2600.0
    assert {report.status for report in reports_of(tmp_path)} == {JobStatus.SUCCEEDED}
    assert len(platform.runs) == 30
