"""Watches a batch that another process runs, through its ledger alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.clock import utc_now
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.lock import is_held
from orchestrator.model.progress import Progress
from orchestrator.model.states import SETTLED_JOB_STATUSES, JobStatus

READ_EVERY_SECS = 1.0
MOST_RUNS = 60
MOST_TIME = 0.1
"""The largest share of the time that reading takes, however large the batch is."""


async def watch(folder: Path, look: Callable[[LedgerReader, bool], None]) -> None:
    """
    Looks at a batch every second until no process holds it.

    It writes nothing, and it holds no lock between two looks.

    Args:
        look: is called with the ledger and whether a process holds the batch; also at the end.

    Raises:
        LedgerCorrupt, LedgerVersionMismatch: the batch cannot be read.
    """
    with LedgerReader(folder / LEDGER) as reader:
        while True:
            # Checked before reading: the last look sees the last writes of the process.
            held = is_held(folder)
            began = time.perf_counter()
            look(reader, held)
            if not held:
                return
            secs = time.perf_counter() - began
            await anyio.sleep(max(READ_EVERY_SECS, secs / MOST_TIME))


def progress_of(reader: LedgerReader) -> Progress:
    """The figures of a batch that other processes hold."""
    return recorded_progress(reader) or _counted(reader)


def recorded_progress(reader: LedgerReader) -> Progress | None:
    """The same as the processes have recorded it; None before they have."""
    recorded = reader.progress()
    if recorded is None or not reader.is_shared():
        return recorded
    # Each process records its own figures. How fast all are together, none of them knows.
    counted = _counted(reader)
    return replace(
        counted,
        live=tuple(reader.oldest_runs(MOST_RUNS)),
        failures=recorded.failures,
        limit=recorded.limit,
        # Some of them may have started since.
        limited=min(recorded.limited, counted.waiting),
        stopping=recorded.stopping,
    )


def _counted(reader: LedgerReader) -> Progress:
    """The figures that the ledger shows."""
    # An older version runs it, or this process has just begun and has recorded nothing yet.
    batch, totals = reader.batch(), reader.totals()
    return Progress(
        at=utc_now(),
        began_at=batch.created_at,
        total=sum(totals.jobs.values()),
        settled={s: jobs for s, jobs in totals.jobs.items() if s in SETTLED_JOB_STATUSES},
        running=totals.jobs.get(JobStatus.RUNNING, 0),
        items=totals.items,
        size_bytes=totals.size_bytes,
        cost_usd=totals.cost_usd,
        max_cost_usd=batch.plan.max_cost_usd,
    )
