from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import PlatformError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.amendments import apply_changes, close_unstarted, definitions, set_waiting
from orchestrator.ledger.stores import connect
from orchestrator.model.attempts import Outcome
from orchestrator.model.batches import BatchState
from orchestrator.model.item_sweeps import ItemSweep
from orchestrator.model.jobs import demand_of
from orchestrator.model.states import AttemptState, JobStatus
from tests.support.builders import NOON, make_batch, make_job, make_ledger
from tests.support.virtual_time import run_virtual

FILE = "ledger.sqlite"

pytestmark = pytest.mark.usefixtures("each_store")


def statuses(folder: Path) -> list[JobStatus]:
    with LedgerReader(folder / FILE) as reader:
        return [report.status for report in reader.reports()]


def test_changed_spec_replaces_the_old_one(tmp_path: Path) -> None:
    """It has the new plan, changed jobs and new ones, and none that was removed before it began."""
    make_ledger(tmp_path, make_job(0), make_job(1))
    plan = replace(make_batch().plan, max_runs=7)
    changed = make_job(0, priority=3)
    apply_changes(tmp_path / FILE, plan, added=[make_job(9)], changed=[changed], removed=["job-1"])
    with LedgerReader(tmp_path / FILE) as reader:
        assert reader.batch().plan.max_runs == 7
        assert [report.job.seq for report in reader.reports()] == [0, 2]
    jobs = definitions(tmp_path / FILE)
    assert jobs == {"job-0": changed, "job-9": replace(make_job(9), seq=0)}
    assert statuses(tmp_path) == [JobStatus.WAITING, JobStatus.WAITING]


def test_definitions_are_only_read(tmp_path: Path) -> None:
    """`plan --diff` waits for no process that writes, and needs no folder that can be written."""
    make_ledger(tmp_path, make_job(0))
    with closing(connect(tmp_path / FILE)) as db, db.atomic():
        assert definitions(tmp_path / FILE) == {"job-0": make_job(0)}


def test_job_that_was_removed_waits_again_when_it_returns(tmp_path: Path) -> None:
    """It keeps its place, has the definition of the changed spec, and is no longer skipped."""
    ledger = make_ledger(tmp_path, make_job(0), make_job(1))

    async def fail() -> None:
        attempt = await ledger.record_intent(1, 1, NOON)
        failed = Outcome(status=JobStatus.FAILED, error="no")
        await ledger.mark_over(attempt, failed, state=AttemptState.FAILED, ready_at=0)

    run_virtual(fail)
    plan = make_batch().plan
    apply_changes(tmp_path / FILE, plan, added=[], changed=[], removed=["job-1"])
    assert statuses(tmp_path) == [JobStatus.WAITING, JobStatus.SKIPPED]
    back = make_job(1, priority=3)
    apply_changes(tmp_path / FILE, plan, added=[make_job(2), back], changed=[], removed=[])
    with LedgerReader(tmp_path / FILE) as reader:
        assert [report.job for report in reader.reports()] == [make_job(0), back, make_job(2)]
    assert statuses(tmp_path) == [JobStatus.WAITING] * 3


def test_changed_job_keeps_its_definition_once_it_has_a_run(tmp_path: Path) -> None:
    """A failed job whose start was refused gets the new definition; one that has run is named."""
    ledger = make_ledger(tmp_path, make_job(0), make_job(1))

    async def fail() -> None:
        for seq, state in enumerate((AttemptState.FAILED, AttemptState.LOST)):
            attempt = await ledger.record_intent(seq, 1, NOON)
            failed = Outcome(status=JobStatus.FAILED, error="no")
            await ledger.mark_over(attempt, failed, state=state)

    run_virtual(fail)
    changed = [make_job(0, priority=3), make_job(1, priority=3)]
    plan = make_batch().plan
    kept = apply_changes(tmp_path / FILE, plan, added=[], changed=changed, removed=[])
    assert kept == ["job-1"]
    with LedgerReader(tmp_path / FILE) as reader:
        assert [report.job.priority for report in reader.reports()] == [3, 0]


def test_jobs_that_are_retried_wait_again(tmp_path: Path) -> None:
    """A failed job waits for one more attempt; its earlier attempts stay in the ledger."""
    ledger = make_ledger(tmp_path, make_job(0), make_job(1))

    async def fail() -> None:
        for seq in (0, 1):
            attempt = await ledger.record_intent(seq, 1, NOON)
            failed = Outcome(status=JobStatus.FAILED, error="no")
            await ledger.mark_over(attempt, failed, state=AttemptState.FAILED)

    run_virtual(fail)
    set_waiting(tmp_path / FILE, [1])
    assert statuses(tmp_path) == [JobStatus.FAILED, JobStatus.WAITING]
    with LedgerReader(tmp_path / FILE) as reader:
        (waiting,) = reader.waiting()
    assert (waiting.seq, waiting.attempts) == (1, 1)


@pytest.mark.parametrize("how", ["retried", "added", "sweeps", "nothing"])
def test_ended_batch_is_open_again_once_it_has_work(tmp_path: Path, how: str) -> None:
    """A process that dies before it begins leaves an interrupted batch, and never a done one."""
    ledger = make_ledger(tmp_path, make_job(0))

    async def end() -> None:
        attempt = await ledger.record_intent(0, 1, NOON)
        failed = Outcome(status=JobStatus.FAILED, error="no")
        await ledger.mark_over(attempt, failed, state=AttemptState.FAILED)
        await ledger.close(BatchState.ENDED, exit_code=1, reason=None, now=NOON)

    run_virtual(end)
    plan = make_batch().plan
    if how == "retried":
        set_waiting(tmp_path / FILE, [0])
    elif how == "added":
        apply_changes(tmp_path / FILE, plan, added=[make_job(1)], changed=[], removed=[])
    else:
        if how == "sweeps":
            demand = demand_of(make_job(0))
            sweep = ItemSweep(name="{{ n }}", needs=("job-0",), demand=demand, definition="{}")
            plan = replace(plan, sweeps=(sweep,))
        apply_changes(tmp_path / FILE, plan, added=[], changed=[], removed=[])
    with LedgerReader(tmp_path / FILE) as reader:
        assert reader.batch().is_done == (how == "nothing")


def test_batch_that_could_not_begin_is_stopped(tmp_path: Path) -> None:
    """A batch without any start has the reason, and can be resumed."""
    make_ledger(tmp_path)
    batch = close_unstarted(tmp_path / FILE, PlatformError("it is away"), NOON)
    assert (batch.state, batch.exit_code) == (BatchState.STOPPED, 5)
    assert batch.stop_reason == "it is away"
