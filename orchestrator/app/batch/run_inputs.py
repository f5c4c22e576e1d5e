"""The bytes that a job sends, made when it starts: files read, secrets rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from anyio import to_thread

from orchestrator.app.batch.needed_results import Facts
from orchestrator.errors import InputRejected
from orchestrator.model.jobs import Job
from orchestrator.system_errors import refuse_exhaustion


async def read_input(
    job: Job, *, env: Mapping[str, str], needed: Facts | None = None
) -> bytes | None:
    """
    The input of a job as it goes to the platform; None when it has none.

    Args:
        needed: gives what the job may take of those that it needs.

    Raises:
        InputRejected: a file is gone or is not what it was when the batch was made, or a secret
            is not in the environment.
    """
    if job.input.path is not None:
        return await _read_file(job.input.path, job.input.sha256)
    if not job.input.late_paths:
        return job.input.body
    # Jinja2 is needed for this alone.
    from orchestrator.specfile import render_input

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
            f"input file {path} is not what it was when the batch was made; start a new batch"
        )
    return data
