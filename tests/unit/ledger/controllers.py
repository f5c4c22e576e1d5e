"""Processes that share one batch, whose ledger is at a real server."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from pathlib import Path

from orchestrator.group_worker import InlineWorker
from orchestrator.ledger import Ledger, create_ledger
from orchestrator.ledger.claims import Share
from orchestrator.ledger.store import PAUSED_SECS, Store
from orchestrator.ledger.stores import connect
from orchestrator.ledger.transactions import commit_group
from tests.support.builders import NOON, make_batch, make_job

SHARE = Share(
    memory_mbytes=256,
    pools=(),
    reserve_usd=Decimal(0),
    max_runs=2,
    max_memory_mbytes=None,
    max_cost_usd=None,
)
LONG, SHORT = 3600.0, 0.001
"""Leases in seconds: one that lasts, and one that has expired when the next process looks."""


class Controllers:
    """Makes processes that share one batch."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self.path = folder / "ledger.sqlite"
        create_ledger(self.path, make_batch(), map(make_job, range(jobs)))
        self._open: list = []

    async def join(self, lease_secs: float = LONG, paused_secs: float = PAUSED_SECS) -> Ledger:
        """A further process."""
        ledger = self.open(lease_secs, paused_secs)
        await ledger.join()
        return ledger

    def open(self, lease_secs: float = LONG, paused_secs: float = PAUSED_SECS) -> Ledger:
        """The ledger of a process that has not begun to work on the batch."""
        db = self.connect()
        db.lease(lease_secs, paused_secs)
        return Ledger(db, InlineWorker(partial(commit_group, db)))

    def connect(self) -> Store:
        """A connection to the ledger."""
        db = connect(self.path)
        self._open.append(db)
        return db

    def close(self) -> None:
        """Closes the connections of all processes."""
        for db in self._open:
            db.close()


async def intend(ledger: Ledger, seq: int, number: int = 1, share: Share = SHARE) -> object:
    """What follows when a process is about to start a job."""
    return await ledger.intend(seq, number, NOON, share, platform_at=None, caps_itself=True)
