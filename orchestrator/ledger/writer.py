"""The ledger of a batch as others write it: made once, then opened by one process at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.ledger import stores
from orchestrator.ledger.batch_facts import BatchFacts
from orchestrator.ledger.definitions import job_values
from orchestrator.ledger.expansion_facts import ExpansionFacts
from orchestrator.ledger.job_facts import JobFacts
from orchestrator.ledger.mark_facts import MarkFacts
from orchestrator.ledger.rows import batch_values
from orchestrator.ledger.shard_facts import ShardFacts
from orchestrator.ledger.store import Store
from orchestrator.ledger.stored_values import stored
from orchestrator.model.batches import Batch
from orchestrator.model.jobs import Job


class Ledger(BatchFacts, JobFacts, ShardFacts, MarkFacts, ExpansionFacts):
    """
    All intents and facts of one batch, for the one process that holds it.

    Each call is one transaction, see `transactions`.
    """


def create_ledger(path: Path, batch: Batch, jobs: Iterable[Job], *, caller: str = "") -> int:
    """
    Writes a new ledger with all its jobs, in the caller's thread.

    Args:
        path: the file to make; its folder must exist.
        batch: as it begins.
        jobs: consumed as a stream.
        caller: what called the command that makes the batch.

    Returns:
        how many jobs there are.

    Raises:
        What `jobs` raises; the caller then deletes the file.
    """
    db = stores.create(path, batch.id)
    try:
        # One transaction for all jobs: one flush, and never a ledger with a part of the spec.
        with db.atomic():
            db.query("insert_batch", **batch_values(batch))
            db.query(
                "insert_call",
                command=batch.triggered_by,
                caller=caller,
                began_at=stored(batch.created_at),
            )
            db.query_many("insert_job", map(job_values, jobs))
        return sum(db.query("count_jobs").fetchone())
    finally:
        db.close()


@contextmanager
def open_ledger(path: Path) -> Iterator[Store]:
    """The connection for a `Ledger` and for its worker's `commit_group`."""
    db = stores.connect(path)
    try:
        yield db
    finally:
        db.close()
