"""The input of a job, made when it starts: reads files and renders secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from anyio import to_thread

from orchestrator.app.batch.needed_results import Facts
from orchestrator.errors import InputRejected
from orchestrator.model.jobs import Job
from orchestrator.system_errors import refuse_exhaustion

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
        return await _read_file(job.input.path, job.input.sha256)
    if not job.input.late_paths:
        return job.input.body
    # Only this needs Jinja2.
    from orchestrator.specfile import render_input

    if prepare is not None and job.needs:
        await prepare(job.needs)
    needs = needed(job.needs) if needed is not None and job.needs else None
    return render_input(job, env, needs)


async def _read_file(path: str, sha256: str) -> bytes:
    try:
        data = await to_thread.run_sync(Path(path).read_bytes)
    except OSError as error:
        refuse_exhaustion(error)
        raise InputRejected(f"input file {path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputRejected(
            f"input file {path} has changed since the batch was made; start a new batch"
        )
    return data
