"""The tasks of a batch."""

from __future__ import annotations

from collections.abc import Callable

from anyio import Event, create_task_group, get_current_task, wait_all_tasks_blocked
from structlog.typing import EventDict

from orchestrator.event_log import LOG, bound
from orchestrator.scheduler.task_group import BatchTasks


async def test_task_that_an_attempt_starts_is_not_logged_as_its_own(
    logged: list[EventDict],
) -> None:
    """The log of a job that is skipped because another failed does not name the failed job."""

    async def skip() -> None:
        LOG.warning("job_skipped", place=2)

    with bound(batch_id="b"):
        async with create_task_group() as group:
            tasks = BatchTasks(group, lambda _error: None, group.cancel_scope.cancel)
            with bound(job="one"):
                tasks.spawn(skip(), name="skip")
                LOG.warning("job_settled")
    settled, skipped = logged
    assert (settled["job"], settled["batch_id"]) == ("one", "b")
    assert "job" not in skipped
    assert skipped["batch_id"] == "b"


async def test_task_that_is_idle_does_the_next_work(logged: list[EventDict]) -> None:
    """A batch of thousands of jobs needs no more tasks than it has jobs at once."""
    done_by: list[int] = []

    async def work(then: Callable[[], None]) -> None:
        done_by.append(get_current_task().id)
        LOG.info("work_done")
        then()

    async with create_task_group() as group:
        rested = Event()
        tasks = BatchTasks(group, lambda _error: None, rested.set)
        with bound(job="one"):
            tasks.spawn(work(lambda: None), name="one")
        await rested.wait()
        await wait_all_tasks_blocked()
        tasks.spawn(work(tasks.cancel), name="two")
    assert len(done_by) == 2
    assert len(set(done_by)) == 1
    assert [event.get("job") for event in logged] == [None, None]
