"""Jobs as the ledger holds them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.errors import LedgerCorrupt
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


@pytest.mark.parametrize("key", ["../up", "/etc", "", ".hidden", "a/b", "x" * 201, "a\n"])
def test_key_that_leads_out_of_the_batch_is_damage(key: str) -> None:
    """A ledger that somebody has changed names no folder elsewhere."""
    definition = job_values(make_job())["definition"]
    with pytest.raises(LedgerCorrupt, match="is not the key of a job"):
        job_of(json.dumps({**json.loads(definition), "key": key}))


def test_definition_that_is_no_job_is_damage() -> None:
    """It is the fault of who changed it, and not of this program."""
    with pytest.raises(LedgerCorrupt, match=r"changed the ledger.*: seq: Field required"):
        job_of("{}")
