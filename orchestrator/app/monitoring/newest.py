"""The figures of the newest batch of each series under an output folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.recent_batches import RecentBatch, RecentBatches
from orchestrator.app.monitoring.reading import (
    Reading,
    live_reading,
    reading_of,
    requests_by_status,
    success_of,
)
from orchestrator.errors import OrchestratorError
from orchestrator.event_log import LOG
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import BatchState


def newest_readings(recent: RecentBatches, now: datetime) -> Iterator[Reading]:
    """
    One reading for each series; it blocks.

    The last success is looked for among the batches that `recent` reads.
    """
    for history in recent.histories():
        seen: dict[str, list[RecentBatch]] = {}
        for one in history.batches:
            seen.setdefault(one.figures.batch.series.id, []).append(one)
        for batches in seen.values():
            ends = (success_of(one.figures.batch) for one in batches)
            last = max(filter(None, ends), default=None)
            try:
                yield _reading(batches[0], now, last)
            except OrchestratorError as error:
                # One ledger that cannot be read must not hide the others.
                LOG.warning("metrics_not_read", batch=batches[0].folder.name, reason=str(error))


def _reading(newest: RecentBatch, now: datetime, last: datetime | None) -> Reading:
    with LedgerReader(newest.folder / LEDGER) as reader:
        batch, progress = reader.batch(), reader.progress()
        if newest.is_held and batch.state is BatchState.OPEN and progress is not None:
            requests = requests_by_status(batch.answers, batch.requests)
            return live_reading(batch, progress, requests, last)
        return reading_of(batch, reader.totals(), now, last)
