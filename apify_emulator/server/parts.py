"""How an emulator is assembled from its data folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import anyio
from anyio.abc import TaskGroup
from pydantic import SecretStr

from apify_emulator.account import USER_ID, ProxyPlace
from apify_emulator.actors.actor_files import load_actors
from apify_emulator.actors.actor_registry import ActorRegistry
from apify_emulator.actors.task import TaskRegistry
from apify_emulator.actors.task_files import load_tasks
from apify_emulator.api.context import Context
from apify_emulator.errors import SetupError
from apify_emulator.faults import FaultPicker, Faults
from apify_emulator.ids import new_token
from apify_emulator.journal import Journal
from apify_emulator.lifecycle.run_lifecycle import RunLifecycle
from apify_emulator.lifecycle.timers import Timers
from apify_emulator.options import EmulatorOptions, account_limits
from apify_emulator.processes.event_sockets import EventSockets
from apify_emulator.processes.orphan_processes import kill_orphans
from apify_emulator.processes.run_logs import RunLogs
from apify_emulator.processes.run_processes import Processes
from apify_emulator.processes.tokens import Tokens
from apify_emulator.runs.run import from_document
from apify_emulator.runs.run_registry import RunRegistry, attempt_key
from apify_emulator.runs.run_views import cost_usd, run_view
from apify_emulator.server.data_folder import (
    creation_time,
    downtime_secs_of,
    keep_heartbeat,
    locked_data_folder,
    signing_master,
)
from apify_emulator.storages.storage_collection import AccountStorage, StorageCollection
from apify_emulator.storages.storage_kinds import Datasets, Queues, Stores
from apify_emulator.times import now
from apify_emulator.webhooks.webhook_registry import Webhooks

_Documents: TypeAlias = "dict[str, dict[str, dict[str, Any]]]"
_S = TypeVar("_S", bound=StorageCollection[Any])


@dataclass(slots=True, kw_only=True)
class _Setup:
    """What all parts are made from."""

    options: EmulatorOptions
    folder: Path
    journal: Journal
    documents: _Documents
    group: TaskGroup


@dataclass(slots=True, kw_only=True)
class _Core:
    """The parts that need no other part."""

    created_at: float
    token: SecretStr
    tokens: Tokens
    timers: Timers
    proxy: ProxyPlace
    events: EventSockets
    actors: ActorRegistry
    runs: RunRegistry
    logs: RunLogs
    webhooks: Webhooks


@dataclass(slots=True, kw_only=True)
class Parts:
    """The parts of an emulator before it listens."""

    context: Context
    tokens: Tokens
    token: SecretStr
    _processes: Processes
    _address: list[str]
    _downtime_secs: float

    def continue_runs(self, base_url: str) -> None:
        """Continues the active runs, because their processes can reach the emulator now."""
        self._address.append(base_url)
        self.context.lifecycle.continue_runs(self._downtime_secs)

    async def stop_processes(self) -> None:
        """Stops all processes without ending their runs."""
        await self._processes.close()


@asynccontextmanager
async def opened(options: EmulatorOptions) -> AsyncIterator[Parts]:
    """
    Opens the data folder and assembles an emulator on it.

    Raises:
        SetupError: an Actor or a task cannot be read, or the folder cannot be written.
        DataFolderInUse: another emulator uses the folder.
    """
    folder = options.data_dir.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        raise SetupError(f"{folder}: cannot be created: {problem.strerror}") from problem
    with locked_data_folder(folder):
        journal = Journal(folder / "journal.jsonl")
        failure: Exception | None = None
        try:
            async with anyio.create_task_group() as group:
                try:
                    setup = _Setup(
                        options=options,
                        folder=folder,
                        journal=journal,
                        documents=journal.load(),
                        group=group,
                    )
                    parts, timers = _assembled(setup)
                    group.start_soon(timers.run, name="timers")
                    group.start_soon(keep_heartbeat, folder / "alive", name="heartbeat")
                    yield parts
                except Exception as problem:  # noqa: BLE001 - raised again below, out of the group
                    failure = problem
                group.cancel_scope.cancel()
        finally:
            journal.close()
        # Outside the task group, which would wrap the error in a group.
        if failure is not None:
            raise failure


def _assembled(setup: _Setup) -> tuple[Parts, Timers]:
    core = _core(setup)
    # Processes need the address, which is known only when the server listens.
    address: list[str] = []
    processes = Processes(
        options=setup.options,
        actors=core.actors,
        logs=core.logs,
        events=core.events,
        tokens=core.tokens,
        group=setup.group,
        base_url=lambda: address[0],
        proxy=core.proxy,
    )
    parts = Parts(
        context=_context(setup, core, processes),
        tokens=core.tokens,
        token=core.token,
        _processes=processes,
        _address=address,
        _downtime_secs=downtime_secs_of(setup.folder / "alive"),
    )
    return parts, core.timers


def _core(setup: _Setup) -> _Core:
    token = setup.options.token or SecretStr(new_token())
    created_at = creation_time(setup.folder)
    webhooks = Webhooks(
        setup.journal,
        setup.group,
        lambda run: run_view(run, USER_ID, now(), with_usage=True),
    )
    webhooks.load(setup.documents.get("webhook", {}))
    return _Core(
        created_at=created_at,
        token=token,
        tokens=Tokens(token.get_secret_value()),
        timers=Timers(setup.journal.batch),
        proxy=ProxyPlace(),
        events=EventSockets(),
        actors=ActorRegistry(
            lambda: load_actors(setup.options.all_actors_dirs),
            created_at,
            journal=setup.journal,
            pricings=setup.documents.get("pricing", {}),
        ),
        runs=_loaded_runs(setup.documents.get("run", {})),
        logs=RunLogs(setup.folder / "logs", setup.options.max_log_bytes),
        webhooks=webhooks,
    )


def _context(setup: _Setup, core: _Core, processes: Processes) -> Context:
    account = account_limits(setup.options)
    lifecycle = RunLifecycle(
        options=setup.options,
        account=account,
        runs=core.runs,
        journal=setup.journal,
        logs=core.logs,
        timers=core.timers,
        webhooks=core.webhooks,
        processes=processes,
    )
    folder, journal, runs = setup.folder, setup.journal, core.runs
    return Context(
        options=setup.options,
        account=account,
        proxy=core.proxy,
        created_at=core.created_at,
        signing_master=signing_master(setup.folder),
        journal=journal,
        runs=runs,
        actors=core.actors,
        tasks=_loaded_tasks(setup, core),
        datasets=_loaded(Datasets(folder / "datasets", journal, runs), setup.documents),
        stores=_loaded(Stores(folder / "stores", journal, runs), setup.documents),
        queues=_loaded(Queues(folder / "queues", journal, runs), setup.documents),
        logs=core.logs,
        events=core.events,
        webhooks=core.webhooks,
        lifecycle=lifecycle,
        timers=core.timers,
        faults=FaultPicker(setup.options.faults or Faults()),
    )


def _loaded_tasks(setup: _Setup, core: _Core) -> TaskRegistry:
    tasks = TaskRegistry(setup.journal)
    from_files = load_tasks(setup.options.all_actors_dirs, core.actors, core.created_at)
    tasks.load(setup.documents.get("task", {}), from_files)
    return tasks


def _loaded(collection: _S, documents: _Documents) -> _S:
    named = {
        key: AccountStorage(**document)
        for key, document in documents.get(collection.kind, {}).items()
    }
    collection.load(named, set(documents.get("deleted", {})))
    return collection


def _loaded_runs(documents: dict[str, dict[str, Any]]) -> RunRegistry:
    runs = RunRegistry()
    loaded = [from_document(document) for document in documents.values()]
    for run in sorted(loaded, key=lambda run: run.started_at):
        runs.add(run)
        if run.finished_at is not None:
            runs.ended_usd += cost_usd(run, run.finished_at)
        if run.input_text and '"fail_attempts"' in run.input_text:
            key = attempt_key(run)
            runs.attempts[key] = max(runs.attempts.get(key, 0), run.attempt)
    # Also of ended runs, because a process can outlive its run when the emulator is killed.
    kill_orphans(run.id for run in runs.all if not run.is_virtual)
    return runs
