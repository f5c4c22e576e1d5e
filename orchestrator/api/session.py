"""The work on a batch in the background of a Python program, and what the program hears of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from threading import get_ident

import anyio
from anyio.lowlevel import checkpoint

from orchestrator.api.batch_result import BatchResult
from orchestrator.api.events import (
    AttemptFailed,
    BatchEnded,
    BatchStarted,
    Event,
    JobSettled,
    RunStarted,
)
from orchestrator.api.job_result import JobResult, job_result
from orchestrator.app.batch.lifecycle import Result
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.setup.known_errors import known_error
from orchestrator.app.setup.signals import LEAVE_SECS
from orchestrator.app.setup.stop_request import StopRequest
from orchestrator.errors import LeftEarly
from orchestrator.event_log import LOG, LibrarySink, logging_through
from orchestrator.ledger import LedgerReader
from orchestrator.loop_clock import has_running_loop
from orchestrator.model.attempts import Attempt
from orchestrator.model.ids import JobKey
from orchestrator.model.progress import Progress
from orchestrator.model.runs import Run

Settled = tuple[Path, JobKey | int]
"""The folder of a batch, and a job that is settled: by its key, or by its place in the spec."""


class Session:
    """
    One run of a batch; made in the event loop that it belongs to.

    It is the display, the reporter and the watcher of the batch: it keeps what happens until the
    program asks. A settled job is read from the ledger only when the program asks for it.

    Attributes:
        stop: ends the work as the first SIGINT ends that of a command.
        folder: of the batch; None before it has one.
        result: how the batch was left; None before.
        earlier: how batches of earlier occurrences were left, in their order.
        code: the exit code of the whole call; None before its end.
        error: with which the work ended; None before that, and if there was none.
        notes: what the call says besides, in words.
    """

    def __init__(self) -> None:
        self.stop = StopRequest()
        self.sink = LibrarySink()
        self.folder: Path | None = None
        self.result: BatchResult | None = None
        self.earlier: list[BatchResult] = []
        self.code: int | None = None
        self.notes: list[str] = []
        self._current = Path()
        self._progress: Callable[[int], Progress] | None = None
        self._thread = 0
        self._queue: deque[Event | Settled] = deque()
        self._readers: dict[Path, LedgerReader] = {}
        self._is_deaf = False
        self._is_left = False
        self._keys: dict[Path, dict[int, JobKey]] = {}
        self._closing = ExitStack()
        self.error: Exception | None = None
        self._news = anyio.Event()
        self._has_begun = anyio.Event()
        self._has_ended = anyio.Event()
        self._scope = anyio.CancelScope(shield=True)
        self._task: asyncio.Task[None] | None = None

    async def start(self, function: Callable[[], Awaitable[int]], log_level: str) -> None:
        """
        Begins to work on the batch in the background; returns when it has begun, or has ended.

        Args:
            function: works on the batch to its end, and returns the exit code.

        Raises:
            OrchestratorError: the batch cannot begin.
        """
        # A task group must be left in the task that entered it, which fixtures of pytest do not do.
        work = self._work(function, log_level)
        self._task = asyncio.create_task(work, name="batch")  # noqa: TID251 - `leave` waits for it
        try:
            await self._has_begun.wait()
            if self.folder is None:
                self._raise_error()
        except BaseException:
            await self.leave()
            raise

    async def leave(self) -> None:
        """
        Ends the work as the first SIGINT does, and after `LEAVE_SECS` as the second one.

        Any task may call it.
        If that task is cancelled meanwhile, the work ends as by the second SIGINT.
        """
        if not self._has_ended.is_set():
            self.stop.make(LeftEarly())
        try:
            with anyio.CancelScope(shield=True):
                try:
                    with anyio.move_on_after(LEAVE_SECS):
                        await self._has_ended.wait()
                finally:
                    self._scope.cancel()
                    await self._wait_for_task()
        finally:
            self._closing.close()
            self._readers.clear()
            self._is_left = True

    async def wait_until_ended(self) -> None:
        """
        Waits until the work has ended.

        Raises:
            OrchestratorError: it ended with an error that concerns no job.
        """
        await self._has_ended.wait()
        self._raise_error()

    def keep_no_events(self) -> None:
        """Says that the program asks for no event: a large batch has millions."""
        self._is_deaf = True
        self._queue.clear()

    async def next_event(self) -> Event | None:
        """
        The next event; None after the last one.

        Raises:
            OrchestratorError: as `wait_until_ended`, after the last event.
        """
        # The program may do nothing else that lets the batch continue.
        await checkpoint()
        while not self._queue:
            if self._has_ended.is_set():
                self._raise_error()
                return None
            await self._news.wait()
        event = self._queue.popleft()
        if isinstance(event, tuple):
            folder, job = event
            return JobSettled(folder=folder, job=self._settled(folder, job))
        return event

    def progress(self) -> Progress | None:
        """The figures of the batch now; None before it runs, and outside its event loop."""
        if self._progress is None or get_ident() != self._thread or not has_running_loop():
            return None
        return self._progress(0)

    async def show(self, folder: Path, progress: Callable[[int], Progress]) -> None:  # noqa: ARG002
        """Keeps the source of the figures."""
        self._progress, self._thread = progress, get_ident()
        self._has_begun.set()
        await anyio.sleep_forever()

    def note(self, sentence: str) -> None:
        """Keeps what the call says."""
        self.notes.append(sentence)

    def warn(self, sentence: str) -> None:
        """Keeps a warning, and logs it."""
        self.notes.append(sentence)
        LOG.warning("occurrence_warned", message=sentence)

    def ended(self, result: Result, *, is_earlier: bool) -> None:
        """Keeps how a batch was left."""
        left = BatchResult(result)
        if is_earlier:
            self.earlier.append(left)
        else:
            self.folder, self.result = left.folder, left
        self._add(BatchEnded(folder=left.folder, result=left))

    def began(self, folder: Path) -> None:
        """Begins to watch a batch."""
        self._current = folder
        if self.folder is None:
            self.folder = folder
        self._add(BatchStarted(folder=folder))

    def run_started(self, attempt: Attempt, run: Run, *, adopted: bool) -> None:
        """Keeps the start of a run."""
        self._add(
            RunStarted(
                folder=self._current,
                job=attempt.job.key,
                attempt=attempt.number,
                run_id=run.id,
                is_adopted=adopted,
            )
        )

    def attempt_failed(self, attempt: Attempt, error: str | None, next_delay_secs: float) -> None:
        """Keeps the failure of an attempt."""
        self._add(
            AttemptFailed(
                folder=self._current,
                job=attempt.job.key,
                attempt=attempt.number,
                error=error,
                next_in_secs=next_delay_secs,
            )
        )

    def jobs_settled(self, keys: Iterable[JobKey]) -> None:
        """Keeps which jobs are settled."""
        for key in keys:
            self._add((self._current, key))

    def job_skipped(self, seq: int) -> None:
        """Keeps which job is skipped."""
        self._add((self._current, seq))

    async def _work(self, function: Callable[[], Awaitable[int]], log_level: str) -> None:
        try:
            # Shielded: a cancelled program leaves the batch in order, see `leave`.
            with self._scope, logging_through(self.sink, level=log_level):
                self.code = await function()
        except Exception as error:  # noqa: BLE001 - the program gets it where it waits
            self.error = known_error(error) or error
        finally:
            # Also if the program cancels all tasks of its loop, this one too.
            if self.code is None and self.error is None:
                self.error = LeftEarly()
            self._has_ended.set()
            self._has_begun.set()
            self._wake()

    async def _wait_for_task(self) -> None:
        """Waits until no task is left; a shield does not keep away a cancellation by asyncio."""
        cancelled: asyncio.CancelledError | None = None
        while self._task is not None and not self._task.done():
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def _settled(self, folder: Path, job: JobKey | int) -> JobResult:
        """A settled job, as the ledger has it."""
        if self._is_left:
            # A program may read on after it has left the batch; nobody would close a kept reader.
            with LedgerReader(folder / LEDGER) as reader:
                return self._read(reader, folder, job)
        if folder not in self._readers:
            self._readers[folder] = self._closing.enter_context(LedgerReader(folder / LEDGER))
        return self._read(self._readers[folder], folder, job)

    def _read(self, reader: LedgerReader, folder: Path, job: JobKey | int) -> JobResult:
        if not isinstance(job, str):
            if folder not in self._keys:
                self._keys[folder] = {seq: key for seq, key, _ in reader.statuses()}
            job = self._keys[folder][job]
        report = reader.report(job)
        assert report is not None  # noqa: S101 - the ledger keeps every job
        return job_result(folder, reader.batch(), report)

    def _add(self, event: Event | Settled) -> None:
        if not self._is_deaf:
            self._queue.append(event)
            self._wake()

    def _wake(self) -> None:
        if not self._news.is_set():
            self._news.set()
        self._news = anyio.Event()

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error
