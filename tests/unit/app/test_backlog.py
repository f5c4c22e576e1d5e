from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestrator.app.batch.backlog import progress_of
from orchestrator.ledger import LedgerReader
from orchestrator.model.attempts import Attempt
from orchestrator.model.ids import Mark
from orchestrator.model.states import AttemptState, JobStatus
from tests.support.builders import NOON, make_job, make_ledger


async def test_runs_that_an_earlier_process_started_count_as_running(tmp_path: Path) -> None:
    """The display of a resumed batch begins with the runs that go on at the platform."""
    states = [
        AttemptState.STARTED,
        AttemptState.ADOPTED,
        AttemptState.INTENT,
        AttemptState.FINISHED,
    ]
    attempts = [
        Attempt(job=make_job(n), number=1, send=1, mark=Mark("m"), state=state, intent_at=NOON)
        for n, state in enumerate(states)
    ]
    make_ledger(tmp_path)
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        nothing_done = reader.totals()
    jobs = {JobStatus.RUNNING: 4, JobStatus.SUCCEEDED: 3}
    totals = replace(nothing_done, jobs=jobs, items=5)
    progress = progress_of(totals, attempts)
    assert (progress.total, progress.running, progress.done, progress.items) == (7, 2, 3, 5)
