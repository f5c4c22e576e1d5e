"""How processes that share a batch end it, and what those find that come late."""

from __future__ import annotations

import signal

import pytest

from orchestrator.errors import BatchAborted, BatchHeld, BudgetExhausted, Interrupted
from orchestrator.ledger import location
from orchestrator.ledger.claims import HALT, Refused
from orchestrator.ledger.postgres.advisory_lock import AdvisoryLock
from orchestrator.ledger.store import LeaseLost
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import BatchState
from tests.support.builders import NOON
from tests.unit.ledger.controllers import SHORT, Controllers, intend


async def test_last_process_closes_the_batch(controllers: Controllers) -> None:
    """While another one works, none may; then one does, and the other waits for it."""
    first, second = await controllers.join(), await controllers.join()
    assert not await first.seek_end()
    assert await second.seek_end()
    assert not await first.seek_end()


async def test_halt_reaches_all_processes(controllers: Controllers) -> None:
    """The first reason counts, also for a process that joins when all others have left."""
    first, second = await controllers.join(), await controllers.join()
    await first.halt("BudgetExhausted", "no money")
    await second.halt("TooManyFailures", "later")
    news = await second.news(0)
    assert (news.halt_kind, news.halt_reason) == ("BudgetExhausted", "no money")
    await first.leave_batch()
    await second.leave_batch()
    third = await controllers.join()
    assert (await third.news(0)).halt_kind == "BudgetExhausted"
    assert await intend(third, 0) == Refused(limit=HALT, reason="halt: BudgetExhausted")


@pytest.mark.parametrize("shares", [True, False], ids=["shared", "alone"])
async def test_late_process_starts_nothing_of_a_batch_that_was_stopped(
    controllers: Controllers, *, shares: bool
) -> None:
    """Whoever has stopped it, a process that comes late finds it closed, and takes no job."""
    reason = BatchAborted("`orchestrator abort` was called")
    late, first = controllers.open(), controllers.open()
    if shares:
        await first.join()
        await first.halt(type(reason).__name__, str(reason))
        assert await first.seek_end()
    else:
        await first.take_over()
    await first.close(BatchState.STOPPED, exit_code=3, reason=reason, now=NOON)
    await first.leave_batch()
    assert not (await late.join()).is_open
    assert await intend(late, 0) == Refused(limit=HALT, reason="halt: BatchAborted")
    news = await late.news(0)
    assert (news.halt_kind, news.halt_reason, news.is_closed) == ("BatchAborted", str(reason), True)


async def test_process_that_lost_its_lease_starts_nothing_of_a_batch_that_was_stopped(
    controllers: Controllers,
) -> None:
    """It was paused while the others stopped the batch; it joins again as a new one, in vain."""
    paused, other = await controllers.join(SHORT), await controllers.join()
    await other.halt("BudgetExhausted", "no money")
    assert await other.seek_end()
    reason = BudgetExhausted("no money")
    await other.close(BatchState.STOPPED, exit_code=3, reason=reason, now=NOON)
    await other.leave_batch()
    with pytest.raises(LeaseLost):
        await paused.check_owner()
    again = controllers.open()
    assert not (await again.join()).is_open
    assert await intend(again, 0) == Refused(limit=HALT, reason="halt: BudgetExhausted")


async def test_resume_ends_what_has_stopped_a_batch(controllers: Controllers) -> None:
    """A person resumes it: it is halted no more, also for the processes that join it later."""
    first = await controllers.join()
    await first.halt("BudgetExhausted", "no money")
    await first.leave_batch()
    alone = controllers.open()
    await alone.take_over()
    interrupted = Interrupted(signal.SIGTERM)
    await alone.close(BatchState.STOPPED, exit_code=143, reason=interrupted, now=NOON)
    later = controllers.open()
    assert (await later.join()).is_open
    assert isinstance(await intend(later, 0), Attempt)


async def test_process_that_joins_again_waits_for_one_that_works_alone(
    controllers: Controllers,
) -> None:
    """Its lock went with its connection: `resume` may have taken the batch over meanwhile."""
    where = location.location_of(controllers.path)
    assert where is not None
    lock = AdvisoryLock(where, "resume")
    with pytest.raises(BatchHeld, match="taken this batch over"):
        await controllers.join()
    lock.release()
    await controllers.join()


async def test_attempts_that_nobody_has_taken_are_noticed_before_the_end(
    controllers: Controllers,
) -> None:
    """The process that closes the batch takes them first, because their runs may still be live."""
    paused, other = await controllers.join(SHORT), await controllers.join()
    await intend(paused, 0)
    assert await other.seek_end()
    assert await other.has_left_attempts()
    await other.steal()
    assert not await other.has_left_attempts()
