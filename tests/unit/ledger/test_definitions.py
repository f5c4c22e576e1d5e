"""Jobs as the ledger holds them."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.ledger.definitions import job_of, job_values
from orchestrator.model.jobs import CollectPlan, JobInput, RunOptions
from tests.support.builders import make_job

LATE = JobInput(body=b'{"a":"{{ env.X }}"}', sha256="1", size_bytes=19, late_paths=(("a",),))
FILE = JobInput(path="/in.bin", content_type="image/png", sha256="2", size_bytes=5)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"input": JobInput()},
        {"input": LATE, "params": {"n": [1, "é"]}},
        {"input": FILE, "options": RunOptions(memory_mbytes=512), "tags": ("a", "b")},
        {"collect": CollectPlan(log=True), "needs": ("x-*",), "priority": 3},
    ],
    ids=["plain", "no input", "secrets", "file", "settings"],
)
def test_job_is_read_as_it_was_written(fields: dict[str, Any]) -> None:
    """A job in the ledger is the job that was made, whatever job was written before it."""
    for job in (make_job(1, **fields), make_job(2), make_job(3, **fields)):
        assert job_of(job_values(job)["definition"]) == job
