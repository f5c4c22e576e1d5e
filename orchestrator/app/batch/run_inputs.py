"""The input of a job, made when it starts: reads files and renders secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from orchestrator.app.batch.needed_results import Facts
from orchestrator.collector.input_copy import read_input_file
from orchestrator.model.jobs import Job

Prepare = Callable[[tuple[str, ...]], Awaitable[None]]


async def read_input(
    job: Job,
    *,
    env: Mapping[str, str],
    needed: Facts | None = None,
    prepare: Prepare | None = None,
) -> bytes | None:
    """
    The input of a job as it is sent to the platform; None if it has none.

    Args:
        needed: returns the results of the jobs that this one needs.
        prepare: downloads those that are not on this machine.

    Raises:
        InputRejected: a file is missing or has changed since the batch was made, or a secret is
            not in the environment.
    """
    if job.input.path is not None:
        return await read_input_file(job.input.path, job.input.sha256)
    if not job.input.late_paths:
        return job.input.body
    # Only this needs Jinja2.
    from orchestrator.specfile import render_input

    if prepare is not None and job.needs:
        await prepare(job.needs)
    needs = needed(job.needs) if needed is not None and job.needs else None
    return render_input(job, env, needs)
