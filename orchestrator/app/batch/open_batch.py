"""A batch that this process holds, with everything that it opens to work on the batch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orchestrator.apify import ApifyClient
from orchestrator.app.batch.sent_requests import SentRequests
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.setup.context import BatchContext, Endpoint, client_options
from orchestrator.errors import BatchHeld, LedgerAway, UsageError
from orchestrator.group_worker import GroupWorker
from orchestrator.ledger import Ledger, LedgerReader, open_ledger
from orchestrator.ledger.transactions import commit_group
from orchestrator.store.atomic_files import Files
from orchestrator.store.group_flush import flush_group

NOT_OURS = (BatchHeld, UsageError, LedgerAway)
"""After one of these, this process can write nothing more into the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBatch:
    """A batch that this process holds, with the ledger, the client and the files that it uses."""

    ledger: Ledger
    reader: LedgerReader
    client: ApifyClient
    files: Files
    sent: SentRequests
    folder: Path


@asynccontextmanager
async def open_batch(
    folder: Path, endpoint: Endpoint, context: BatchContext
) -> AsyncIterator[OpenBatch]:
    """
    Opens a batch whose lock the caller holds; closes everything at the end.

    Raises:
        LedgerCorrupt, LedgerVersionMismatch, BatchHeld: the ledger cannot be opened.
    """
    options = client_options(endpoint, context.settings, context.timings)
    with open_ledger(folder / LEDGER) as db, LedgerReader(folder / LEDGER) as reader:
        if context.shard is not None:
            # Imported here: only several processes that share a batch need it.
            from orchestrator.app.batch.sharing import ask_lease

            ask_lease(db, context.settings)
        async with (
            GroupWorker("ledger", partial(commit_group, db), db.gather_secs) as ledger_worker,
            GroupWorker("files", flush_group) as file_worker,
            ApifyClient(options) as client,
        ):
            ledger = Ledger(db, ledger_worker)
            try:
                yield OpenBatch(
                    ledger=ledger,
                    reader=reader,
                    client=client,
                    files=Files(file_worker),
                    sent=SentRequests(client, ledger),
                    folder=folder,
                )
            finally:
                # The worker ends only when its last transaction has: it must not wait for an hour.
                db.leave()
