from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import (
    BatchHeld,
    DiskFull,
    OrchestratorError,
)
from orchestrator.ledger import BatchLock, LedgerReader, create_ledger
from orchestrator.ledger.definitions import job_values
from orchestrator.ledger.lock import is_held
from orchestrator.ledger.stored_values import remedy_of, remedy_text
from orchestrator.model.attempts import Collected, Outcome
from orchestrator.model.batches import BatchState
from orchestrator.model.ids import Mark
from orchestrator.model.jobs import Job
from orchestrator.model.rules import Remedy
from orchestrator.model.states import AttemptState, JobStatus
from tests.support.builders import NOON, make_batch, make_job, make_ledger, make_run, reopen_ledger

pytestmark = pytest.mark.usefixtures("each_store")

DONE = Outcome(status=JobStatus.SUCCEEDED)


async def test_job_is_settled_by_the_states_of_its_attempt(tmp_path: Path) -> None:
    """An attempt goes from intent to settled, and the report of its job has its facts."""
    ledger = make_ledger(tmp_path)
    attempt = await ledger.record_intent(0, 1, NOON)
    await ledger.mark_started(attempt, make_run(status="READY"))
    await ledger.mark_finished(attempt, make_run())
    await ledger.mark_over(attempt, DONE, Collected(items=3, size_bytes=30, sha256="ab"))
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        (report,) = reader.reports()
        totals = reader.totals()
    assert (report.status, report.state) == (JobStatus.SUCCEEDED, AttemptState.SETTLED)
    assert (report.items, report.run_id, report.attempts) == (3, "run1", 1)
    assert totals.jobs == {JobStatus.SUCCEEDED: 1}
    assert totals.stragglers == []
    assert not report.is_unread


async def test_run_from_a_list_gets_its_options_at_its_end(tmp_path: Path) -> None:
    """A list does not show memory and timeout, by which rules of a later process multiply."""
    first = make_ledger(tmp_path)
    attempt = await first.record_intent(0, 1, NOON)
    listed = make_run(status="RUNNING")._replace(memory_mbytes=None, timeout_secs=None)
    await first.mark_started(attempt, listed, adopted=True)
    await first.mark_finished(attempt, make_run()._replace(memory_mbytes=512, timeout_secs=60))
    (later,) = await reopen_ledger(tmp_path).take_over()
    assert later.run is not None
    assert (later.run.memory_mbytes, later.run.timeout_secs) == (512, 60)


async def test_intent_outlives_the_process_that_recorded_it(tmp_path: Path) -> None:
    """A process that opens the ledger later finds the intent, with its job and its mark."""
    first = make_ledger(tmp_path, make_job(), make_job(1))
    intended = await first.record_intent(1, 1, NOON)
    second = reopen_ledger(tmp_path)
    (attempt,) = await second.take_over()
    assert attempt.state is AttemptState.INTENT
    assert attempt.mark == intended.mark
    assert re.fullmatch(r"mark123\.1\.1\.1[a-z]{4}", attempt.mark)
    assert attempt.job == make_job(1)
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        assert [job.seq for job in reader.waiting()] == [0]


async def test_process_whose_batch_was_taken_over_gets_an_error(tmp_path: Path) -> None:
    """The first process must not continue: the other one works on the same jobs."""
    first = make_ledger(tmp_path)
    await first.take_over()
    await reopen_ledger(tmp_path).take_over()
    with pytest.raises(BatchHeld):
        await first.record_intent(0, 1, NOON)


async def test_withdrawn_intent_uses_up_no_attempt(tmp_path: Path) -> None:
    """A start that was refused for now does not change the job."""
    ledger = make_ledger(tmp_path)
    await ledger.withdraw_intent(await ledger.record_intent(0, 1, NOON))
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        (waiting,) = reader.waiting()
    assert waiting.attempts == 0


async def test_job_that_has_succeeded_adopts_no_run(tmp_path: Path) -> None:
    """Its results stay those of its own run; the other run is reported as not adopted."""
    ledger = make_ledger(tmp_path)
    attempt = await ledger.record_intent(0, 1, NOON)
    await ledger.mark_started(attempt, make_run())
    # A job that has a run adopts none either.
    assert not await ledger.adopt(Mark("mark123.0.2.1abcd"), make_run("run2"))
    await ledger.mark_finished(attempt, make_run())
    await ledger.mark_over(attempt, DONE, Collected())
    assert not await ledger.adopt(Mark("mark123.0.2.1abcd"), make_run("run2"))
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        assert reader.totals().attempts == 1


def test_ledger_stores_only_differences_from_the_defaults() -> None:
    """A batch of a million jobs stays small on disk."""
    assert len(job_values(make_job())["definition"]) < 250
    remedy = Remedy(memory_mbytes=2048)
    assert remedy_text(remedy) == '{"memory_mbytes":2048}'
    assert remedy_of(remedy_text(remedy)) == remedy


async def test_job_waits_for_its_next_attempt(tmp_path: Path) -> None:
    """If another attempt follows a failed one, the job waits, and the attempt counts."""
    ledger = make_ledger(tmp_path)
    attempt = await ledger.record_intent(0, 1, NOON)
    failed = Outcome(status=JobStatus.FAILED, error="refused")
    await ledger.mark_over(attempt, failed, state=AttemptState.FAILED, ready_at=1234.5)
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        (waiting,) = reader.waiting()
    assert (waiting.attempts, waiting.ready_at) == (1, 1234.5)


async def test_each_send_of_an_attempt_has_its_own_mark(tmp_path: Path) -> None:
    """A second send after a lost answer is counted, and uses up no attempt."""
    ledger = make_ledger(tmp_path)
    attempt = await ledger.record_intent(0, 1, NOON)
    await ledger.mark_unconfirmed(attempt, "the answer was lost")
    again = await ledger.send_again(attempt, NOON)
    (open_attempt,) = await reopen_ledger(tmp_path).take_over()
    assert open_attempt.mark == again.mark != attempt.mark
    assert again.mark.startswith("mark123.0.1.2")


async def test_step_in_the_wrong_order_is_refused(tmp_path: Path) -> None:
    """An attempt that was never started cannot finish, and the ledger does not change."""
    ledger = make_ledger(tmp_path)
    attempt = await ledger.record_intent(0, 1, NOON)
    with pytest.raises(OrchestratorError, match="does not fit"):
        await ledger.mark_finished(attempt, make_run())
    (open_attempt,) = await reopen_ledger(tmp_path).take_over()
    assert open_attempt.state is AttemptState.INTENT


async def test_one_run_belongs_to_one_attempt(tmp_path: Path) -> None:
    """A run that one attempt has claimed cannot be claimed by another."""
    ledger = make_ledger(tmp_path, make_job(), make_job(1))
    first = await ledger.record_intent(0, 1, NOON)
    second = await ledger.record_intent(1, 1, NOON)
    await ledger.mark_started(first, make_run())
    with pytest.raises(Exception, match=r"(?i)unique constraint"):
        await ledger.mark_started(second, make_run(), adopted=True)


async def test_closed_batch_shows_how_it_ended(tmp_path: Path) -> None:
    """State, exit code and reason are kept for later readers."""
    ledger = make_ledger(tmp_path)
    batch = await ledger.close(
        BatchState.STOPPED, exit_code=3, reason=DiskFull("disk full"), now=NOON
    )
    assert (batch.state, batch.exit_code, batch.stop_reason) == ("stopped", 3, "disk full")
    assert batch.stop_kind == "DiskFull"


async def test_batch_that_is_resumed_is_open_again(tmp_path: Path) -> None:
    """When a process takes a batch over, its earlier end is removed."""
    ledger = make_ledger(tmp_path)
    await ledger.close(BatchState.STOPPED, exit_code=3, reason=DiskFull("disk full"), now=NOON)
    await reopen_ledger(tmp_path).take_over()
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        batch = reader.batch()
    assert (batch.state, batch.exit_code, batch.stop_reason) == (BatchState.OPEN, None, None)


async def test_attempts_in_flight_are_reported(tmp_path: Path) -> None:
    """An intent is in flight; a settled attempt is not."""

    def has_open_attempts() -> bool:
        with LedgerReader(tmp_path / "ledger.sqlite") as reader:
            return reader.has_open_attempts()

    ledger = make_ledger(tmp_path)
    assert not has_open_attempts()
    attempt = await ledger.record_intent(0, 1, NOON)
    assert has_open_attempts()
    await ledger.mark_over(attempt, DONE, state=AttemptState.FAILED)
    assert not has_open_attempts()


@pytest.mark.parametrize(
    ("run_status", "state", "is_unread"),
    [
        ("RUNNING", AttemptState.LOST, True),
        ("SUCCEEDED", AttemptState.LOST, True),
        ("FAILED", AttemptState.LOST, False),
        ("SUCCEEDED", AttemptState.SETTLED, True),
        ("FAILED", AttemptState.SETTLED, False),
    ],
)
async def test_paid_run_that_was_not_read_is_reported(
    tmp_path: Path, run_status: str, state: AttemptState, *, is_unread: bool
) -> None:
    """If the run of a failed job may have succeeded, it is read again before another start."""
    ledger = make_ledger(tmp_path)
    attempt = await ledger.record_intent(0, 1, NOON)
    await ledger.mark_started(attempt, make_run(status="RUNNING", finished_at=None))
    if run_status != "RUNNING":
        await ledger.mark_finished(attempt, make_run(status=run_status))
    failed = Outcome(status=JobStatus.FAILED, error="it cannot be read")
    await ledger.mark_over(attempt, failed, state=state)
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        (report,) = reader.reports()
    assert report.is_unread is is_unread


def test_failing_expansion_leaves_no_jobs(tmp_path: Path) -> None:
    """An error while the jobs are written reaches the caller."""

    def jobs() -> Iterator[Job]:
        yield make_job()
        raise ValueError("bad row")

    with pytest.raises(ValueError, match="bad row"):
        create_ledger(tmp_path / "ledger.sqlite", make_batch(), jobs())


def test_lock_is_reported_and_released(tmp_path: Path) -> None:
    """A held batch is reported as held, until its process ends."""
    assert not is_held(tmp_path)
    with BatchLock(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
