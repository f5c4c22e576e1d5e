"""
Changes to a ledger that no process is working on: jobs to be tried again, a spec that changed.

Each function is one transaction in the caller's thread; the caller holds the batch's lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from orchestrator.ledger import connection as sqlite
from orchestrator.ledger.rows import job_of, job_values, plan_text, run_values, stored
from orchestrator.model.batches import BatchPlan
from orchestrator.model.jobs import Job
from orchestrator.model.runs import Run


class Execute(Protocol):
    """
    Executes a named statement.
    """

    def __call__(self, query: str, **values: Any) -> Any:
        """
        Returns the cursor.
        """


def set_waiting(path: Path, seqs: Iterable[int]) -> None:
    """
    Lets settled jobs wait for one more attempt; what they had stays in their history.
    """
    with _amended(path) as execute:
        for seq in seqs:
            execute("set_waiting", seq=seq)


def add_runs(path: Path, runs: Sequence[Run], now: datetime) -> None:
    """
    Gives each job, in the order of the spec, a run that somebody else started.
    """
    with _amended(path) as execute:
        for seq, run in enumerate(runs):
            values = run_values(run)
            execute("insert_run", seq=seq, intent_at=stored(now), **values)


def apply_changes(
    path: Path,
    plan: BatchPlan,
    *,
    added: Sequence[Job],
    changed: Sequence[Job],
    removed: Sequence[str],
) -> None:
    """
    Brings a batch in line with its changed spec.

    New jobs come behind the others. Changed ones that still wait take their new form; those that
    are over or under way stay as they are. Removed ones that still wait are skipped.
    """
    with _amended(path) as execute:
        execute("update_plan", plan=plan_text(plan))
        last = execute("select_last_seq").fetchone()["seq"]
        for seq, job in enumerate(added, start=last + 1):
            execute("insert_job", **job_values(replace(job, seq=seq)))
        for job in changed:
            row = execute("select_by_key", key=job.key).fetchone()
            execute("update_job", **job_values(replace(job, seq=row["seq"])))
        for key in removed:
            execute("skip_job", key=key, error="removed from the spec")


def definitions(path: Path) -> dict[str, Job]:
    """
    The jobs of a ledger by key; their places in the spec left out.
    """
    with _amended(path) as execute:
        rows = execute("select_definitions")
        return {row["key"]: replace(job_of(row["definition"]), seq=0) for row in rows}


@contextmanager
def _amended(path: Path) -> Iterator[Execute]:
    db = sqlite.connect(path)

    def execute(query: str, **values: Any) -> Any:
        return db.execute(sqlite.queries()[query], values)

    try:
        with sqlite.atomic(db):
            yield execute
    finally:
        db.close()
