"""The rows of the table of jobs."""

from __future__ import annotations

import json

from orchestrator.report.page.job_rows import JobTable, shown_job
from tests.support.listed_jobs import ended_batch, listed_attempt, listed_job

PLAIN_FIELDS = 13


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
    changed, plain = map(json.loads, table.rows().values())
    assert changed[PLAIN_FIELDS:] == [f"attempt 2, 3 with {proxy}"]
    assert len(plain) == PLAIN_FIELDS
