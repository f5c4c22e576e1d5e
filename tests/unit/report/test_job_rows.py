"""The rows of the table of jobs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from orchestrator.report.page.job_rows import JobTable, shown_job
from tests.support.listed_jobs import ended_batch, listed_attempt, listed_job

PLAIN_FIELDS = 13

GROWTH = """
from orchestrator.report.page.job_rows import JobTable, shown_job
from tests.support.listed_jobs import ended_batch, listed_job

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

batch, rows = ended_batch(), 10_000
table, before = JobTable(batch), resident()
for seq in range(rows):
    table.add(shown_job(batch, listed_job(seq)), 0)
print((resident() - before) / rows)
"""


def test_row_says_which_attempts_had_another_input() -> None:
    """A job whose attempts all had its own input takes no byte more for that."""
    proxy = '{"proxy":"RESIDENTIAL"}'
    attempts = (
        listed_attempt(),
        *(listed_attempt(number=number, input_changes=proxy) for number in (2, 3)),
    )
    table = JobTable(ended_batch())
    table.add(shown_job(ended_batch(), listed_job(0, attempts=attempts)), 0)
    table.add(shown_job(ended_batch(), listed_job(1)), 0)
    changed, plain = (json.loads(row) for _, row in table.rows())
    assert changed[PLAIN_FIELDS:] == [f"attempt 2, 3 with {proxy}"]
    assert len(plain) == PLAIN_FIELDS


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory in use from /proc")
def test_row_takes_the_memory_of_its_text() -> None:
    """The allocator's gaps around the rows once took 6 kB each: 250 MB for a page."""
    done = subprocess.run(
        [sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 1000
