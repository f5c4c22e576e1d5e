"""Values for tests: each builder has defaults for everything that a test is not about."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from weakref import finalize

from orchestrator.group_worker import InlineWorker
from orchestrator.ledger import Ledger, create_ledger
from orchestrator.ledger.stores import connect
from orchestrator.ledger.transactions import commit_group
from orchestrator.model.batches import Batch, BatchPlan
from orchestrator.model.ids import BatchId, BatchName, DatasetId, JobKey, RunId, StoreId
from orchestrator.model.jobs import Job, JobInput, Target, TargetKind
from orchestrator.model.runs import Run

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def make_job(seq: int = 0, **fields: Any) -> Job:
    """A job of the Actor `me/actor`."""
    given = {
        "key": JobKey(f"job-{seq}"),
        "target": Target(kind=TargetKind.ACTOR, id="me/actor"),
        "input": JobInput(body=b'{"a":1}', sha256="0" * 64, size_bytes=7),
        **fields,
    }
    return Job(seq=seq, **given)


def make_run(name: str = "run1", **fields: Any) -> Run:
    """A run that succeeded."""
    given = {
        "status": "SUCCEEDED",
        "started_at": NOON,
        "finished_at": NOON,
        "dataset_id": DatasetId(f"dataset-{name}"),
        "store_id": StoreId(f"store-{name}"),
        **fields,
    }
    return Run(id=RunId(name), **given)


def make_batch(*, id_: str = "20261125T120000Z-abcdef", **plan: Any) -> Batch:
    """A batch named `nightly`."""
    return Batch(
        id=BatchId(id_),
        name=BatchName("nightly"),
        mark="mark123",
        created_at=NOON,
        plan=BatchPlan(spec_path="/spec.toml", spec_sha256="0" * 64, **plan),
    )


def make_ledger(folder: Path, *jobs: Job) -> Ledger:
    """A ledger on disk with these jobs; its operations run in the test's own thread."""
    create_ledger(folder / "ledger.sqlite", make_batch(), jobs or (make_job(),))
    return reopen_ledger(folder)


def reopen_ledger(folder: Path) -> Ledger:
    """The ledger in a folder, as another process would open it."""
    db = connect(folder / "ledger.sqlite")
    ledger = Ledger(db, InlineWorker(partial(commit_group, db)))
    finalize(ledger, db.close)
    return ledger
