"""A batch that a Python program runs."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from inspect import iscoroutinefunction
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack, cast

import anyio

from orchestrator.api.batch_files import BatchFiles
from orchestrator.api.batch_options import (
    LIMITS,
    BatchOptions,
    LimitsAndOptions,
    checked_options,
    settings_of_options,
    spec_run_of,
)
from orchestrator.api.batch_result import BatchResult, opened
from orchestrator.api.events import Event, JobSettled
from orchestrator.api.job import Fields, Job
from orchestrator.api.job_result import JobResult
from orchestrator.api.python_spec import plain_table, python_spec
from orchestrator.api.session import Session
from orchestrator.app.batch_folders import find_batch
from orchestrator.app.occurrences.spec_run import run_new
from orchestrator.app.setup.process_limits import require_some
from orchestrator.errors import Interrupted, UsageError
from orchestrator.loop_clock import has_running_loop
from orchestrator.model.progress import Progress
from orchestrator.specfile import LoadedSpec, load_spec
from orchestrator.specfile.load import OUTPUT


class Batch(BatchFiles):
    """
    A batch to run once, as `orchestrator run` runs it.

    Run it by `await batch.run()`, by `batch.run_sync()` in a program without an event loop, or by
    `async with batch:`, in which `async for job in batch` yields each job when it is settled.

    Leaving `async with` before the end is the first Ctrl-C of the command: nothing more is started,
    the runs continue at the platform, the state is saved. The batch can be resumed.

    Args:
        name: of the batch; it names the folder.
        jobs: the jobs and sweeps.
        params, pools, defaults, results, retention, notify: the tables of a spec.
        options: the fields of `[batch]`, and how to run: see `LimitsAndOptions`, `BatchOptions`.

    Raises:
        SpecError: with all mistakes that show before the jobs are made.
        UsageError: an option is misspelt or has a value of another type.
    """

    _loaded: LoadedSpec
    _params: Mapping[str, str]
    _options: BatchOptions
    _session: Session | None

    def __init__(
        self,
        *,
        name: str,
        jobs: Iterable[Job],
        params: Fields | None = None,
        pools: Mapping[str, Fields] | None = None,
        defaults: Fields | None = None,
        results: Fields | None = None,
        retention: Fields | None = None,
        notify: Fields | None = None,
        **options: Unpack[LimitsAndOptions],
    ) -> None:
        given: dict[str, Any] = dict(checked_options(options, LimitsAndOptions))
        limits = {key: given.pop(key) for key in LIMITS if key in given}
        if "max_runs" in limits:
            # Also the option, which wins over the environment.
            given["max_runs"] = limits["max_runs"]
        tables = {
            "batch": {"name": name, **limits},
            "params": params,
            "pools": pools,
            "defaults": defaults,
            "results": results,
            "retention": retention,
            "notify": notify,
            "jobs": _tables_of(jobs),
        }
        self._prepare(python_spec(tables), {}, cast("BatchOptions", given))

    @classmethod
    def from_spec(
        cls,
        path: str | PathLike[str],
        *,
        params: Mapping[str, object] | None = None,
        **options: Unpack[BatchOptions],
    ) -> Self:
        """
        The batch of a spec.

        With `resume=True` it follows `orchestrator run --resume`: each occurrence gets one batch,
        and an interrupted one is resumed.

        Args:
            params: values for `[params]`, as `--param` gives them.

        Raises:
            SpecError: with all mistakes that show before the jobs are made.
            UsageError: an option is misspelt or has a value of another type.
        """
        given = checked_options(options, BatchOptions)
        texts = _as_typed({} if params is None else params)
        batch = cls.__new__(cls)
        loaded = load_spec(Path(path), output=Path(given.get("output", OUTPUT)))
        batch._prepare(loaded, texts, given)  # noqa: SLF001 - its own class
        return batch

    @staticmethod
    def open(
        batch: str | PathLike[str], *, output: str | PathLike[str] | None = None
    ) -> BatchResult:
        """
        A batch on disk, to read; it asks no platform.

        Args:
            batch: its folder, `NAME` for the newest of a name, or `NAME/ID`.
            output: the folder of all batches; None for that of the settings.

        Raises:
            BatchNotFound: there is no such batch; the message names those that there are.
            LedgerCorrupt, LedgerVersionMismatch: it cannot be read.
        """
        options: BatchOptions = {} if output is None else {"output": output}
        # Absolute, because a program may change its working folder.
        return opened(find_batch(settings_of_options(options).output, str(batch)).absolute())

    async def run(self, on_event: Callable[[Event], None] | None = None) -> BatchResult:
        """
        Runs the batch to its end; failed jobs are part of the result and raise nothing.

        Args:
            on_event: is called in the event loop with each event, see `events`.

        Raises:
            UsageError: `on_event` is a coroutine function.
            OrchestratorError: the batch cannot begin, or ended with an error that no job has.
        """
        if iscoroutinefunction(on_event):
            raise UsageError(
                "on_event is called, not awaited: give a plain function, or write `async with "
                "batch:` and `async for event in batch.events():`"
            )
        async with self:
            if on_event is None:
                self._running.keep_no_events()
                await self._running.wait_until_ended()
            else:
                async for event in self.events():
                    on_event(event)
        return self.result

    def run_sync(self, on_event: Callable[[Event], None] | None = None) -> BatchResult:
        """
        Runs the batch to its end in an event loop of its own, in this thread; see `run`.

        Ctrl-C leaves the batch as leaving `async with` does, then raises `KeyboardInterrupt`.

        Raises:
            UsageError: an event loop runs in this thread.
            OrchestratorError: as `run`.
        """
        if has_running_loop():
            raise UsageError(
                "run_sync() would block the event loop that runs in this thread: write "
                "`await batch.run()` instead, in a notebook too"
            )
        require_some()
        return anyio.run(
            self.run, on_event, backend_options={"use_uvloop": sys.platform != "win32"}
        )

    async def __aenter__(self) -> Self:
        if not has_running_loop():
            raise UsageError(
                "a batch runs on asyncio only: under trio, write "
                "`await trio.to_thread.run_sync(batch.run_sync)`"
            )
        if self._session is not None:
            raise UsageError(
                "this batch was run before, and a Batch runs once: make another Batch, or read its "
                "results with batch.result"
            )
        self._session = session = Session()
        run = spec_run_of(self._loaded, self._params, self._options, session)
        function = partial(run_new, run)
        if self._options.get("resume", False):
            # Most programs do not need it.
            from orchestrator.app.occurrences.serving import serve_occurrence

            function = partial(serve_occurrence, run)
        await session.start(function, run.context.settings.log_level)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._running.leave()
        if error is None and not isinstance(self._running.error, Interrupted | None):
            raise self._running.error

    def __aiter__(self) -> AsyncIterator[JobResult]:
        """
        Yields each job when it is settled and its results are on disk, in that order.

        Jobs of batches of earlier occurrences, which `resume=True` may resume, are left out.

        Raises:
            UsageError: the batch was not entered with `async with`.
        """
        return self._settled_jobs(self.events())

    def events(self) -> AsyncIterator[Event]:
        """
        What happens in the batch, from its beginning; it ends with the batch.

        All iterators of a batch, also `async for job in batch`, share one sequence: each event is
        given once.

        Raises:
            UsageError: the batch was not entered with `async with`.
        """
        return self._events(self._running)

    @property
    def folder(self) -> Path:
        """
        The folder of the batch.

        Raises:
            UsageError: it has none yet.
        """
        if self._session is None or self._session.folder is None:
            raise UsageError(f"{self} {NOT_RUN}")
        return self._session.folder

    @property
    def result(self) -> BatchResult:
        """
        How the batch was left.

        Raises:
            UsageError: the batch was not run, or still runs.
        """
        if self._session is None or self._session.result is None:
            raise UsageError(f"{self} has no result yet: it was not run to an end")
        return self._session.result

    @property
    def earlier(self) -> list[BatchResult]:
        """The batches of earlier occurrences that `resume=True` has worked on, in that order."""
        return [] if self._session is None else list(self._session.earlier)

    @property
    def exit_code(self) -> int | None:
        """What `orchestrator run` would end with, all batches considered; None before the end."""
        return None if self._session is None else self._session.code

    @property
    def notes(self) -> list[str]:
        """What `orchestrator run` would say on stderr besides progress."""
        return [] if self._session is None else list(self._session.notes)

    def progress(self) -> Progress | None:
        """
        The figures of the batch; None before it runs.

        In its event loop they are those of now. Elsewhere they are at most some seconds old, and
        None after its end.
        """
        if self._session is None or self._session.folder is None:
            return None
        return self._session.progress() or super().progress()

    def __repr__(self) -> str:
        return f"Batch({self._loaded.spec.batch.name!r})"

    def _prepare(
        self, loaded: LoadedSpec, params: Mapping[str, str], options: BatchOptions
    ) -> None:
        self._loaded = loaded
        self._params = params
        self._options = options
        self._session = None

    @property
    def _running(self) -> Session:
        if self._session is None:
            raise UsageError(f"{self} {NOT_RUN}")
        return self._session

    @staticmethod
    async def _events(session: Session) -> AsyncIterator[Event]:
        while (event := await session.next_event()) is not None:
            yield event

    async def _settled_jobs(self, events: AsyncIterator[Event]) -> AsyncIterator[JobResult]:
        async for event in events:
            if isinstance(event, JobSettled) and event.folder == self.folder:
                yield event.job


NOT_RUN = "was not run: write `await batch.run()`, `batch.run_sync()` or `async with batch:`"


def _tables_of(jobs: Iterable[Job]) -> list[dict[str, Any]]:
    found = [] if isinstance(jobs, Job) else list(jobs)
    if isinstance(jobs, Job) or not all(isinstance(job, Job) for job in found):
        raise UsageError("Batch: jobs: expected a list of Job(…)")
    return [job.table() for job in found]


def _as_typed(params: Mapping[str, object]) -> dict[str, str]:
    """Parameters as `--param` gives them."""
    if not isinstance(params, Mapping):
        raise UsageError("Batch: params: expected a table from names to values")
    if missing := [name for name, value in params.items() if value is None]:
        raise UsageError(f"Batch: params: None is no value of {missing[0]}: leave it out")
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in plain_table(params, "params").items()
    }
