"""
The text file for the node exporter's collector, written while a batch runs and at its end.

A thread of its own writes it, because the folder may hang, and because the library takes time to
import. The thread is a daemon: it never delays the end of the process for long. A failure here
is a warning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread

import anyio

from orchestrator.apify.policy.paced_transport import ClientStats
from orchestrator.app.batch.live_source import LiveSource
from orchestrator.app.batch_folders import LEDGER, survey
from orchestrator.app.clock import utc_now
from orchestrator.app.monitoring.reading import (
    Reading,
    live_reading,
    reading_of,
    requests_by_status,
    success_of,
)
from orchestrator.event_log import LOG
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import Batch
from orchestrator.model.progress import Progress

EVERY_SECS = 15.0
PATIENCE_SECS = 3.0
"""How long the end of the process waits for the last write."""

Write = Callable[[Path, Reading], None]
Task = Callable[[], Reading]


def write_metrics(path: Path, reading: Reading) -> None:
    """
    Writes the metrics of a batch under the file's final name, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    from prometheus_client import write_to_textfile

    from orchestrator.app.monitoring.exposition import registry_of

    write_to_textfile(str(path), registry_of([reading]))


@dataclass(kw_only=True)
class MetricsFile:
    """
    Keeps the metrics file of one call.

    Attributes:
        path: of the file.
        write: writes it; blocks.
        patience_secs: how long the end of the process waits for the last write.
    """

    path: Path
    write: Write = write_metrics
    patience_secs: float = PATIENCE_SECS
    _tasks: SimpleQueue[tuple[Task, Event]] = field(default_factory=SimpleQueue)
    _thread: Thread | None = None
    _kept: Path | None = None
    _has_warned: bool = False
    _last: datetime | None = None
    _last_of: Path | None = None

    async def keep(self, folder: Path, batch: Batch, live: LiveSource, stats: ClientStats) -> None:
        """Writes the file now and from time to time, until cancelled."""
        self._kept = folder
        done: Event | None = None
        while True:
            # A folder that hangs gets no second write.
            if done is None or done.is_set():
                answers = Counter({str(status): count for status, count in stats.answers.items()})
                answers.update(batch.answers)
                requests = requests_by_status(answers, batch.requests + stats.requests)
                task = partial(self._live, folder, batch, live.progress(0), requests)
                done = self._send(task)
            await anyio.sleep(EVERY_SECS)

    def finish(self, folder: Path | None) -> None:
        """
        Writes the figures of a batch that this process has left.

        Args:
            folder: of the batch; None for the one that `keep` was for, if there was any.
        """
        folder = folder or self._kept
        if folder is None:
            return
        done = self._send(partial(self._ended, folder))
        if not done.wait(self.patience_secs):
            self._warn(f"the folder does not answer within {self.patience_secs:g} s")

    def _send(self, task: Task) -> Event:
        done = Event()
        self._tasks.put((task, done))
        if self._thread is None:
            self._thread = Thread(target=self._work, name="metrics", daemon=True)
            self._thread.start()
        return done

    def _work(self) -> None:
        while True:
            task, done = self._tasks.get()
            try:
                self.write(self.path, task())
            except Exception as error:  # noqa: BLE001 - metrics never end a batch
                self._warn(str(error))
            done.set()

    def _warn(self, reason: str) -> None:
        # Once in each call: a folder that is missing stays missing.
        if not self._has_warned:
            self._has_warned = True
            LOG.warning("metrics_not_written", file=str(self.path), reason=reason)

    def _live(
        self, folder: Path, batch: Batch, progress: Progress, requests: Mapping[str, int]
    ) -> Reading:
        return live_reading(batch, progress, requests, self._last_success(folder, batch))

    def _ended(self, folder: Path) -> Reading:
        with LedgerReader(folder / LEDGER) as reader:
            batch, totals = reader.batch(), reader.totals()
        return reading_of(batch, totals, utc_now(), self._last_success(folder, batch))

    def _last_success(self, folder: Path, batch: Batch) -> datetime | None:
        """The last success of the series before a batch; read once, before old ones are removed."""
        if self._last_of != folder:
            ends = [
                success_of(one.batch)
                for one in survey(folder.parent).found
                if one.folder != folder and batch.series.agrees(one.batch.series)
            ]
            self._last = max(filter(None, ends), default=None)
            self._last_of = folder
        return self._last
