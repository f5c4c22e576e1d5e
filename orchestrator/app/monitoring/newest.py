"""The figures of the newest batch of each series under an output folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.recent_batches import NameHistory, RecentBatch, RecentBatches
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

    A copy of a name's folder, or one that was moved away, has batches of the same series: those in
    the folder of their name come first. The last success is looked for among the batches that
    `recent` reads.
    """
    histories = sorted(recent.histories(), key=_is_moved)
    seen: dict[tuple[str, str], list[RecentBatch]] = {}
    for one in (one for history in histories for one in history.batches):
        batch = one.figures.batch
        seen.setdefault((batch.name, batch.series.id), []).append(one)
    for batches in seen.values():
        ends = (success_of(one.figures.batch) for one in batches)
        last = max(filter(None, ends), default=None)
        try:
            yield _reading(batches[0], now, last)
        except OrchestratorError as error:
            # One ledger that cannot be read must not hide the others.
            LOG.warning("metrics_not_read", batch=batches[0].folder.name, reason=str(error))


def _is_moved(history: NameHistory) -> bool:
    return all(one.figures.batch.name != history.name for one in history.batches)


def _reading(newest: RecentBatch, now: datetime, last: datetime | None) -> Reading:
    with LedgerReader(newest.folder / LEDGER) as reader:
        batch, progress = reader.batch(), reader.progress()
        if newest.is_held and batch.state is BatchState.OPEN and progress is not None:
            requests = requests_by_status(batch.answers, batch.requests)
            return live_reading(batch, progress, requests, last)
        return reading_of(batch, reader.totals(), now, last)
