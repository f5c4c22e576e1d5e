"""Makes the jobs of the items of all jobs of a batch, as a batch does while it runs."""

from __future__ import annotations

import gc
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio

from orchestrator.app.account.account_limits import ANY_ROOM
from orchestrator.app.batch.absent_results import AbsentResults
from orchestrator.app.batch.creation import plan_of
from orchestrator.app.batch.item_expander import ItemExpander
from orchestrator.app.batch.needed_results import KnownKeys
from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.clock import utc_now
from orchestrator.cli.main import ALLOCATIONS_BETWEEN_COLLECTIONS
from orchestrator.collector.collect import Collector
from orchestrator.group_worker import InlineWorker
from orchestrator.ledger import Ledger, LedgerReader, create_ledger
from orchestrator.ledger.connection import connect
from orchestrator.ledger.transactions import commit_group
from orchestrator.model.selection import EVERYTHING
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.parts import TakesJobs
from orchestrator.specfile import expand, load_spec
from tests.support.builders import make_batch


class Silent:
    """An observer that ignores everything."""

    def __getattr__(self, name: str) -> object:
        return ignore


def ignore(*_told: object) -> None:
    """Does nothing."""


async def main() -> None:
    # As the command does.
    gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS)
    spec = Path(sys.argv[1])
    loaded, day = load_spec(spec), date(2026, 11, 25)
    folder = spec.parent / "batch"
    path = folder / "ledger.sqlite"
    plan = plan_of(loaded, params={}, choice=EVERYTHING, day=day, local=None)
    create_ledger(path, replace(make_batch(), plan=plan), expand(loaded, env={}, today=day))
    queue = JobQueue()
    with closing(connect(path)) as db, LedgerReader(path) as reader:
        batch = SimpleNamespace(
            ledger=Ledger(db, InlineWorker(partial(commit_group, db))),
            reader=reader,
            client=SimpleNamespace(platform_now=lambda: None),
            folder=folder,
        )
        observer: Any = Silent()
        expander = ItemExpander(
            cast("OpenBatch", batch),
            ANY_ROOM,
            observer,
            utc_now,
            absent=AbsentResults(
                cast("OpenBatch", batch), cast("Collector", None), KnownKeys(reader)
            ),
            may_reuse=False,
        )
        queued = SimpleNamespace(
            note_expansion=lambda *_: None, add_new=lambda job: queue.add(job, 0.0)
        )
        began = time.process_time()
        for seq, key, _ in list(reader.statuses()):
            await expander.expand(seq, key, cast("TakesJobs", queued))
        print(time.process_time() - began, file=sys.stderr)
    print(len(queue))


if __name__ == "__main__":
    anyio.run(main)
