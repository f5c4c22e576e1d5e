"""`orchestrator run --on ENGINE`: gives the shards of a batch to an engine, and follows them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.app.batch.lifecycle import result_of
from orchestrator.app.batch.live_status import READ_EVERY_SECS, progress_of
from orchestrator.app.batch_folders import LEDGER, survey
from orchestrator.app.engines.dask_cluster import DaskCluster, EngineAway, ShardTask
from orchestrator.app.engines.shard_order import ShardEnd, ShardOrder
from orchestrator.app.occurrences.schedules import occurrence_of
from orchestrator.app.occurrences.spec_run import SpecRun
from orchestrator.app.supervisors.installation import PAUSES_SECS
from orchestrator.app.supervisors.spec_files import paths_of
from orchestrator.errors import Interrupted, OrchestratorError, UsageError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.location import configured_address
from orchestrator.model.batches import Trigger
from orchestrator.model.progress import Progress
from orchestrator.version import __version__

LOOK_EVERY_SECS = 0.25
LEAVE_SECS = 8.0
"""How long the shards are waited for after a signal."""

SAID_LINES = 5
ADVICE = "move it there"


async def follow_on_engine(run: SpecRun, options: argparse.Namespace) -> int:
    """
    Runs the batch of the occurrence on an engine, as shards; returns the exit code.

    Raises:
        UsageError: the call makes no sense for shards.
        EngineAway: the engine does not answer.
    """
    cluster = await to_thread.run_sync(DaskCluster, options.on)
    try:
        count = options.shards or len(await to_thread.run_sync(cluster.workers))
        if count == 0:
            raise UsageError(f"{options.on} has no worker: start some, or give --shards N")
        occurrence = occurrence_of(run.named, run.schedule, datetime.now(UTC))
        orders = list(_orders(run, options, occurrence, count))
        tasks = await to_thread.run_sync(cluster.submit, orders)
        run.context.reporter.note(f"{count} shards on {cluster.url}; occurrence {occurrence}")
        return await _Following(run, cluster, tasks, orders[0].group, occurrence).follow()
    finally:
        await to_thread.run_sync(cluster.close)


def _orders(
    run: SpecRun, options: argparse.Namespace, occurrence: datetime, count: int
) -> Iterator[ShardOrder]:
    """The orders for all shards."""
    address = configured_address()
    assert address is not None  # noqa: S101 - checked before
    files = {name: path.read_bytes() for name, path in paths_of(run.loaded, ADVICE).items()}
    series = replace(run.series(None), platform=None)
    digest = sha256(f"{address.url} {series.id}".encode()).hexdigest()[:8]
    for number in range(1, count + 1):
        yield ShardOrder(
            group=f"orchestrator-{series.name}-{occurrence:%Y%m%dT%H%MZ}-{digest}",
            shard=f"{number}/{count}",
            spec=next(iter(files)),
            files=files,
            words=_words(run, options, occurrence),
            ledger=address.url,
            version=__version__,
            pause_secs=PAUSES_SECS[0],
        )


def _words(run: SpecRun, options: argparse.Namespace, occurrence: datetime) -> list[str]:
    """The options of `run` on a worker."""
    settings = run.context.settings
    words = ["--output", settings.remote or str(settings.output.absolute())]
    words += ["--occurrence", occurrence.isoformat(), "--on-signal", options.on_signal]
    for name, value in options.param:
        words += ["--param", f"{name}={value}"]
    for name in ("select", "exclude", "limit", "max_runs", "log_level"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return [*words, "--force"] if options.force else words


@dataclass
class _Following:
    """
    Shows the batch while the engine works on it, and says how it ended.

    Attributes:
        occurrence: of the batch, in UTC.
        folder: of the batch on this machine; None before some shard has made it.
        seen: shards whose ends were looked at.
    """

    run: SpecRun
    cluster: DaskCluster
    tasks: list[ShardTask]
    group: str
    occurrence: datetime
    folder: Path | None = None
    ends: list[ShardEnd] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    given_up: list[EngineAway] = field(default_factory=list)

    async def follow(self) -> int:
        """Follows the shards to their end; a signal interrupts them."""
        signals: list[Interrupted] = []
        with self.run.context.listening(signals.append):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._show, name="view")
                while not (signals or self._is_over()):  # noqa: ASYNC110 - of other processes
                    await anyio.sleep(LOOK_EVERY_SECS)
                tasks.cancel_scope.cancel()
            if signals:
                await self._stop()
                return self._left(signals[0])
        return self._ended()

    def _is_over(self) -> bool:
        """Whether no shard is at work; takes note of those that have ended."""
        for task in self.tasks:
            if task.shard not in self.seen and task.is_over:
                self.seen.add(task.shard)
                try:
                    self.ends.append(task.end())
                except EngineAway as error:
                    self.given_up.append(error)
        return len(self.seen) == len(self.tasks)

    async def _show(self) -> None:
        """Shows the figures of all shards, as the ledger has them; until cancelled."""
        while (folder := self._find()) is None:  # noqa: ASYNC110 - a shard makes it
            await anyio.sleep(READ_EVERY_SECS)
        latest = _read(folder)
        async with anyio.create_task_group() as tasks:
            show = self.run.context.display.show
            tasks.start_soon(show, folder, lambda _: latest, name="display")
            while True:
                await anyio.sleep(READ_EVERY_SECS)
                # The engine works on, also while the server of the ledger is away.
                with suppress(OrchestratorError):
                    latest = _read(folder)

    def _find(self) -> Path | None:
        """The folder of the batch that the shards share, made on this machine too."""
        series = replace(self.run.series(None), platform=None)
        with suppress(OrchestratorError):
            for found in survey(self.run.home).found if self.folder is None else ():
                batch = found.batch
                is_shared = batch.triggered_by is Trigger.RESUME
                is_same = batch.occurrence == self.occurrence and series.agrees(batch.series)
                if is_shared and is_same:
                    self.folder = found.folder
                    break
        return self.folder

    async def _stop(self) -> None:
        with anyio.move_on_after(LEAVE_SECS):
            stop = partial(self.cluster.stop, self.tasks, self.group)
            while await to_thread.run_sync(stop, abandon_on_cancel=True):  # noqa: ASYNC110 - as above
                await anyio.sleep(LOOK_EVERY_SECS)

    def _left(self, signal: Interrupted) -> int:
        """Says what continues after a signal."""
        folder = self._find()
        if folder is not None:
            with LedgerReader(folder / LEDGER) as reader:
                runs = len(reader.live_runs())
            result = replace(result_of(folder), reason=signal, live_runs=runs)
            self.run.context.reporter.ended(result, is_earlier=False)
        return signal.exit_code

    def _ended(self) -> int:
        """Says how the batch ended; returns its exit code."""
        folder = self._find()
        result = None if folder is None else result_of(folder)
        code = None
        if result is not None and result.batch.is_done:
            code = result.batch.exit_code
            self.run.context.reporter.ended(result, is_earlier=False)
        for end in self.ends:
            if end.code not in (0, code):
                said = "\n".join(end.said.splitlines()[-SAID_LINES:])
                self._warn(f"shard {end.shard} on {end.machine} ended with {end.code}: {said}")
        for error in self.given_up:
            self._warn(str(error))
        if code is not None:
            return code
        return max([end.code for end in self.ends] + [one.exit_code for one in self.given_up])

    def _warn(self, sentence: str) -> None:
        self.run.context.reporter.warn(sentence)


def _read(folder: Path) -> Progress:
    with LedgerReader(folder / LEDGER) as reader:
        return progress_of(reader)
