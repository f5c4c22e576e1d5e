"""The input of a job among its results, and the file that holds it until the job starts."""

from __future__ import annotations

import hashlib
from pathlib import Path

from anyio import to_thread

from orchestrator.errors import InputRejected
from orchestrator.model.jobs import Job
from orchestrator.store.file_names import extension
from orchestrator.system_errors import refuse_exhaustion

NO_INPUT = "input"
"""What `Collected.missing` has of a job whose input file is not there any more."""


async def input_copy(job: Job) -> dict[str, bytes]:
    """
    The content of the file with the input of a job, by its name; empty where none is wanted.

    Raises:
        InputRejected: as `read_input_file`.
    """
    given = job.input
    if not job.collect.input or given.is_empty:
        return {}
    if given.path is not None:
        name = f"input.{extension(given.content_type)}"
        return {name: await read_input_file(given.path, given.sha256)}
    return {"input.json": given.body or b""}


async def read_input_file(path: str, sha256: str) -> bytes:
    """
    The content of an `input_file`.

    Raises:
        InputRejected: it cannot be read, or has changed since the batch was made.
    """
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
