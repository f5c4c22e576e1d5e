"""
How a platform is put together from its data folder, and taken apart.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import anyio
from pydantic import SecretStr

from apify_emulator.account import USER_ID
from apify_emulator.actor_files import load_actors
from apify_emulator.actors import ActorBook
from apify_emulator.context import Context
from apify_emulator.errors import DataFolderInUse, SetupError
from apify_emulator.events import EventHub
from apify_emulator.faults import FaultPicker, Faults
from apify_emulator.ids import new_token, now
from apify_emulator.journal import Journal
from apify_emulator.lives import Lives
from apify_emulator.logs import LogBook
from apify_emulator.options import EmulatorOptions
from apify_emulator.orphans import kill_orphans
from apify_emulator.processes import Processes
from apify_emulator.runbook import RunBook
from apify_emulator.runs import from_document, full_view
from apify_emulator.shelves import Named, Shelf
from apify_emulator.starting import attempt_key
from apify_emulator.storages import Datasets, Queues, Stores
from apify_emulator.tasks import TaskBook, load_tasks
from apify_emulator.timers import Timers
from apify_emulator.tokens import Tokens
from apify_emulator.webhooks import Webhooks

_HEARTBEAT_SECS = 1.0
_Documents: TypeAlias = "dict[str, dict[str, dict[str, Any]]]"
_S = TypeVar("_S", bound="Shelf[Any]")


@dataclass(slots=True)
class Parts:
    """
    A platform that is put together but not yet reached by anyone.
    """

    context: Context
    tokens: Tokens
    token: SecretStr
    _processes: Processes
    _address: list[str]
    _downtime_secs: float

    def go(self, base_url: str) -> None:
        """
        Go on with the runs that were going, now that processes can reach the platform.
        """
        self._address.append(base_url)
        self.context.lives.bring_up(self._downtime_secs)

    async def stop_processes(self) -> None:
        """
        Stop all processes; their runs are not ended.
        """
        await self._processes.close()


@asynccontextmanager
async def opened(options: EmulatorOptions) -> AsyncIterator[Parts]:
    """
    Open the data folder and put a platform together on it.

    Raises:
        SetupError: an Actor or a task cannot be read, or the folder cannot be written.
        DataFolderInUse: another platform holds the folder.
    """
    folder = options.data_dir.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        raise SetupError(f"{folder}: cannot be made: {problem.strerror}") from problem
    with _held(folder):
        journal = Journal(folder / "journal.jsonl")
        failure: Exception | None = None
        try:
            documents = journal.load()
            async with anyio.create_task_group() as group:
                try:
                    parts, timers = _assembled(options, folder, journal, documents, group)
                    group.start_soon(timers.run, name="timers")
                    group.start_soon(_beat, folder / "alive", name="heartbeat")
                    yield parts
                except Exception as problem:  # noqa: BLE001 - raised again below, out of the group
                    failure = problem
                group.cancel_scope.cancel()
        finally:
            journal.close()
        if failure is not None:
            raise failure


def _assembled(
    options: EmulatorOptions,
    folder: Path,
    journal: Journal,
    documents: _Documents,
    group: anyio.abc.TaskGroup,
) -> tuple[Parts, Timers]:
    created_at = _created_at(folder)
    downtime_secs = _downtime(folder / "alive")
    token = options.token or SecretStr(new_token())
    tokens, timers, events = Tokens(token.get_secret_value()), Timers(journal.batch), EventHub()
    actors = ActorBook(load_actors(options.actors_dirs), created_at)
    tasks = TaskBook(journal)
    tasks.load(documents.get("task", {}), load_tasks(options.actors_dirs, actors, created_at))
    runs = _loaded_runs(documents.get("run", {}))
    logs = LogBook(folder / "logs", options.max_log_bytes)
    webhooks = Webhooks(journal, group, lambda run: full_view(run, USER_ID, now(), with_usage=True))
    webhooks.load(documents.get("webhook", {}))
    address: list[str] = []
    processes = Processes(
        options=options,
        actors=actors,
        logs=logs,
        events=events,
        tokens=tokens,
        group=group,
        base_url=lambda: address[0],
    )
    lives = Lives(
        options=options,
        runs=runs,
        journal=journal,
        logs=logs,
        timers=timers,
        webhooks=webhooks,
        processes=processes,
    )
    context = Context(
        options=options,
        created_at=created_at,
        journal=journal,
        runs=runs,
        actors=actors,
        tasks=tasks,
        datasets=_shelf(Datasets(folder / "datasets", journal, runs), documents),
        stores=_shelf(Stores(folder / "stores", journal, runs), documents),
        queues=_shelf(Queues(folder / "queues", journal, runs), documents),
        logs=logs,
        events=events,
        webhooks=webhooks,
        lives=lives,
        faults=FaultPicker(options.faults or Faults()),
    )
    return Parts(context, tokens, token, processes, address, downtime_secs), timers


def _shelf(shelf: _S, documents: _Documents) -> _S:
    named = {key: Named(**document) for key, document in documents.get(shelf.kind, {}).items()}
    shelf.load(named, set(documents.get("deleted", {})))
    return shelf


def _loaded_runs(documents: dict[str, dict[str, Any]]) -> RunBook:
    runs = RunBook()
    loaded = [from_document(document) for document in documents.values()]
    for run in sorted(loaded, key=lambda run: run.started_at):
        runs.add(run)
        if run.input_text and '"fail_attempts"' in run.input_text:
            key = attempt_key(run)
            runs.attempts[key] = max(runs.attempts.get(key, 0), run.attempt)
    # Also of ended runs: a process may have outlived its run when the platform was killed.
    kill_orphans(run.id for run in runs.all if not run.is_virtual)
    return runs


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """
    Hold the data folder; the kernel lets go of it when the process dies.
    """
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataFolderInUse(
                f"{folder}: another process runs the local platform on this folder; wait until it "
                "ends, or choose another folder with --output"
            ) from None
        # What stands in it is told by whoever held the folder before.
        os.ftruncate(file, 0)
        yield
    finally:
        os.close(file)


def _created_at(folder: Path) -> float:
    path = folder / "created"
    try:
        return float(path.read_text())
    except (FileNotFoundError, ValueError):
        moment = now()
        path.write_text(str(moment))
        return moment


def _downtime(path: Path) -> float:
    """
    Return how long no platform has been on the data.
    """
    try:
        return max(time.time() - path.stat().st_mtime, 0.0)
    except FileNotFoundError:
        return 0.0


async def _beat(path: Path) -> None:
    """
    Leave a sign of life, so that the next platform knows how long there was none.
    """
    try:
        while True:
            _touch(path)
            await anyio.sleep(_HEARTBEAT_SECS)
    finally:
        _touch(path)


def _touch(path: Path) -> None:
    # The folder may be gone already when a platform on temporary data closes.
    with contextlib.suppress(OSError):
        path.touch()
