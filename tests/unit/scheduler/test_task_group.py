"""The tasks of a batch."""

from __future__ import annotations

from anyio import create_task_group
from structlog.contextvars import bound_contextvars
from structlog.typing import EventDict

from orchestrator.event_log import LOG
from orchestrator.scheduler.task_group import BatchTasks


async def test_task_that_an_attempt_starts_is_not_logged_as_its_own(
    logged: list[EventDict],
) -> None:
    """The log of a job that is skipped because another failed does not name the failed job."""

    async def skip() -> None:
        LOG.warning("job_skipped", place=2)

    with bound_contextvars(batch_id="b"):
        async with create_task_group() as group:
            tasks = BatchTasks(group, lambda _error: None, lambda: None)
            with bound_contextvars(job="one"):
                tasks.spawn(skip(), name="skip")
                LOG.warning("job_settled")
    settled, skipped = logged
    assert (settled["job"], settled["batch_id"]) == ("one", "b")
    assert "job" not in skipped
    assert skipped["batch_id"] == "b"
