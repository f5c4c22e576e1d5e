"""What a reader sees of a ledger while another process writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.ledger import LedgerReader
from orchestrator.model.jobs import demand_of
from orchestrator.model.states import JobStatus
from tests.support.builders import NOON, make_job, make_ledger, make_run

pytestmark = pytest.mark.usefixtures("each_store")


async def test_reader_sees_one_instant_while_the_ledger_is_written(tmp_path: Path) -> None:
    """What is read to open a batch is consistent, whatever another process commits meanwhile."""
    ledger = make_ledger(tmp_path, make_job(0), make_job(1))
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        with reader.at_one_instant():
            assert reader.totals().jobs == {JobStatus.WAITING: 2}
            await ledger.record_intent(0, 1, NOON)
            assert reader.totals().jobs == {JobStatus.WAITING: 2}
            assert [job.seq for job in reader.waiting()] == [0, 1]
        assert reader.totals().jobs == {JobStatus.RUNNING: 1, JobStatus.WAITING: 1}


async def test_snapshot_shows_the_remaining_work(tmp_path: Path) -> None:
    """A batch with a live run and a waiting job has work, and needs room for the job."""
    ledger = make_ledger(tmp_path, make_job(0), make_job(1))
    await ledger.mark_started(await ledger.record_intent(0, 1, NOON), make_run(status="RUNNING"))
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        opened = reader.snapshot()
    assert opened.batch.name == "nightly"
    assert (opened.has_work, opened.has_open_attempts) == (True, True)
    assert set(opened.demands) == {demand_of(make_job(1))}


async def test_waiting_jobs_are_read_while_the_ledger_is_written(tmp_path: Path) -> None:
    """A slow reader neither blocks the writer nor sees its changes."""
    ledger = make_ledger(tmp_path, *(make_job(seq) for seq in range(3)))
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        jobs = reader.waiting()
        assert next(jobs).seq == 0
        await ledger.skip(2, "not wanted")
        assert [job.seq for job in jobs] == [1, 2]
