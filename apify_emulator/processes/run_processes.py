"""
The processes of runs: how they are started, watched, stopped and started again.

A run has one process after the other, never two at once. Each has its own token and its own process
group. When it ends, the whole group is killed, and the processes that have left the group too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

import anyio
from anyio import to_thread
from anyio.abc import Process, TaskGroup

from apify_emulator.account import ProxyPlace
from apify_emulator.actors.actor import Actor
from apify_emulator.actors.actor_registry import ActorRegistry
from apify_emulator.errors import BuildFailed
from apify_emulator.options import EmulatorOptions
from apify_emulator.processes.actor_environments import Command, Environments
from apify_emulator.processes.event_sockets import EventSockets
from apify_emulator.processes.open_file_limit import under_limit
from apify_emulator.processes.orphan_processes import kill_orphans
from apify_emulator.processes.process_environment import process_environment
from apify_emulator.processes.process_samples import Sample, sample_sessions
from apify_emulator.processes.process_slots import ProcessSlots
from apify_emulator.processes.run_logs import LineStamper, RunLogs
from apify_emulator.processes.tokens import Tokens
from apify_emulator.runs.run import Run, Status
from apify_emulator.runs.run_usage import RunUsage
from apify_emulator.times import now

# A process that fails at once must not restart in a tight loop.
_RESTART_PAUSE_SECS = 0.5
# How long to wait for the end of the output after the end of the process.
_LAST_OUTPUT_SECS = 2.0
_MIGRATION_GRACE_SECS = 1.0
_SAMPLE_SECS = 1.0
_BUILDING = "Building the environment of the Actor"
_STANDBY = (
    "The Actor waits for requests in Standby mode, which the emulator does not have: remove "
    '"usesStandbyMode" from its actor.json to run it as a usual Actor'
)


class Finish(Protocol):
    """Ends a run."""

    def __call__(
        self, run: Run, status: Status, *, exit_code: int | None = None, message: str | None = None
    ) -> None:
        """Ends a run with its status."""
        ...


class _StopReason(Enum):
    """The reason to stop a process."""

    ABORT = auto()
    TIME_OUT = auto()
    RESTART = auto()
    CLOSE = auto()


@dataclass(slots=True)
class _RunProcess:
    """A run that waits for a slot or has a process."""

    run: Run
    level: int
    stop_reason: _StopReason | None = None
    process: Process | None = None
    building: anyio.CancelScope | None = None
    has_slot: bool = False


class Processes:
    """
    The processes of all runs.

    Attributes:
        environments: of the Actors.
    """

    def __init__(
        self,
        *,
        options: EmulatorOptions,
        actors: ActorRegistry,
        logs: RunLogs,
        events: EventSockets,
        tokens: Tokens,
        group: TaskGroup,
        base_url: Callable[[], str],
        proxy: ProxyPlace,
    ) -> None:
        self._options = options
        self._actors = actors
        self._logs = logs
        self._events = events
        self._tokens = tokens
        self._group = group
        self._base_url = base_url
        self._proxy = proxy
        self.environments = Environments(options)
        self._slots = ProcessSlots(options.slots)
        self._active: dict[str, _RunProcess] = {}
        self._is_closing = False
        self._save: Callable[[Run], None]
        self._mark_running: Callable[[Run], None]
        self._finish: Finish
        group.start_soon(self._sample_all, name="usage of processes")

    def attach(
        self, *, save: Callable[[Run], None], mark_running: Callable[[Run], None], finish: Finish
    ) -> None:
        """Sets the functions that write a run to the journal, move it to RUNNING and end it."""
        self._save, self._mark_running, self._finish = save, mark_running, finish

    def launch(self, run: Run) -> None:
        """Begins a run; it stays READY until it has a slot and its environment is built."""
        starter = self._active.get(run.parent_id or "")
        active = self._active[run.id] = _RunProcess(run, starter.level + 1 if starter else 0)
        self._group.start_soon(self._run_until_end, active, name=f"run {run.id}")

    def abort(self, run: Run, *, gracefully: bool) -> bool:
        """Ends a run's process, so that the run becomes ABORTED; False if it has no slot yet."""
        active = self._active.get(run.id)
        if active is None:
            return False
        active.stop_reason = _StopReason.ABORT
        if active.process is not None:
            self._group.start_soon(self._end, active, gracefully, name=f"abort {run.id}")
        elif active.building is not None:
            active.building.cancel()
        return active.has_slot

    def restart(self, run: Run) -> None:
        """Ends a run's process and starts the next one."""
        active = self._active.get(run.id)
        if active is None or active.process is None or active.stop_reason is not None:
            return
        active.stop_reason = _StopReason.RESTART
        self._group.start_soon(self._stop, active.process, name=f"restart {run.id}")

    async def close(self) -> None:
        """Ends all processes without ending their runs."""
        self._is_closing = True
        active_runs = [active for active in self._active.values() if active.process is not None]
        async with anyio.create_task_group() as group:
            for active in active_runs:
                active.stop_reason = active.stop_reason or _StopReason.CLOSE
                group.start_soon(self._migrate, active)

    async def _sample_all(self) -> None:
        before: dict[str, float] = {}
        while True:
            await anyio.sleep(_SAMPLE_SECS)
            running = {
                active.process.pid: active.run
                for active in tuple(self._active.values())
                if active.process is not None
            }
            if not running:
                before.clear()
                continue
            samples = await to_thread.run_sync(sample_sessions, tuple(running))
            for session, sample in samples.items():
                await self._note(running[session], sample, before)

    async def _note(self, run: Run, sample: Sample, before: dict[str, float]) -> None:
        used = max(sample.cpu_secs - before.get(run.id, 0.0), 0.0)
        before[run.id] = sample.cpu_secs
        if not run.is_terminal:
            run.usage = run.usage or RunUsage()
            run.usage.note(100 * used / _SAMPLE_SECS, sample.memory_bytes)
            await self._events.send_usage(run.id, run.usage)

    async def _run_until_end(self, active: _RunProcess) -> None:
        run = active.run
        try:
            async with self._slots.of_level(active.level):
                active.has_slot = True
                # A run that was aborted while it waited can have been resurrected meanwhile.
                while self._active.get(run.id) is active and not run.is_terminal:
                    if self._is_closing or not await self._run_once(active):
                        break
        # A full disk or a variable that no process can have fail this run, not the emulator.
        except* (OSError, ValueError) as group:
            message = f"The run cannot continue: {group.exceptions[0]}"
            self._finish(run, Status.FAILED, message=message)
        finally:
            if self._active.get(run.id) is active:
                del self._active[run.id]

    async def _run_once(self, active: _RunProcess) -> bool:
        """Runs one process to its end; returns whether another one follows."""
        run = active.run
        actor = self._actors.by_id.get(run.actor_id)
        if actor is None:
            message = "The Actor of this run does not exist any more"
            self._finish(run, Status.FAILED, message=message)
            return False
        command = await self._command(active, actor)
        if active.stop_reason is _StopReason.ABORT:
            self._finish(run, Status.ABORTED)
            return False
        if command is None or self._is_closing:
            return False
        self._mark_running(run)
        token = self._tokens.issue(run.id)
        self._proxy.issue(run.id)
        try:
            code = await self._run(active, actor, command, token)
        finally:
            self._tokens.revoke(token)
            self._proxy.revoke(run.id)
            active.process = None
        return await self._end_of_process(active, code)

    async def _command(self, active: _RunProcess, actor: Actor) -> Command | None:
        run = active.run
        if actor.definition.get("usesStandbyMode"):
            self._logs.add(run.id, f"ACTOR: {_STANDBY}.")
            self._finish(run, Status.FAILED, message=_STANDBY)
            return None
        try:
            with anyio.CancelScope() as active.building:
                if not self.environments.is_built(actor):
                    self._say_building(run, self.environments.step(actor))
                return await self.environments.command(actor)
        except BuildFailed as problem:
            self._logs.add(run.id, f"ACTOR: {problem}")
            self._finish(run, Status.FAILED, message=str(problem))
        finally:
            active.building = None
            if (run.status_message or "").startswith(_BUILDING) and not run.is_terminal:
                run.status_message = None
        return None

    def _say_building(self, run: Run, step: str) -> None:
        """Tells those who wait for a run why it is READY for minutes."""
        run.status_message = f"{_BUILDING} once ({step}), which can take minutes"
        self._logs.add(run.id, f"ACTOR: {run.status_message}.")
        self._save(run)

    async def _run(self, active: _RunProcess, actor: Actor, command: Command, token: str) -> int:
        run = active.run
        self._logs.add(run.id, f"ACTOR: Starting {actor.full_name}.")
        environment = process_environment(run, actor, token, self._base_url(), self._proxy)
        try:
            process = await anyio.open_process(
                under_limit(command.argv, self._options.open_files),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=command.folder,
                env=environment,
                # A process group of its own: one signal reaches all child processes.
                start_new_session=True,
            )
        except OSError as problem:
            self._logs.add(run.id, f"ACTOR: {command.argv[0]} cannot be started: {problem}")
            # The exit code of a shell for a command that it cannot start.
            return 127
        active.process = process
        if active.stop_reason is not None or self._is_closing:
            # The reason to stop came while the process was starting.
            _signal_group(process, signal.SIGKILL)
        try:
            return await self._watch(active, process)
        finally:
            _signal_group(process, signal.SIGKILL)
            # Also after a cancellation: the next process must not start beside this one.
            with anyio.CancelScope(shield=True):
                await process.wait()
                await process.aclose()
                await _kill_orphans_of(run)

    async def _watch(self, active: _RunProcess, process: Process) -> int:
        run = active.run
        is_read = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(self._read_output, run, process, is_read, name=f"log {run.id}")
            left = None if run.timeout_at is None else run.timeout_at - now()
            with anyio.move_on_after(left):
                await process.wait()
            if process.returncode is None:
                active.stop_reason = active.stop_reason or _StopReason.TIME_OUT
                if run.status == Status.RUNNING:
                    run.status = Status.TIMING_OUT
                    self._save(run)
                await self._stop(process)
            # Child processes can still hold the pipe of the output.
            _signal_group(process, signal.SIGKILL)
            await _kill_orphans_of(run)
            with anyio.move_on_after(_LAST_OUTPUT_SECS):
                await is_read.wait()
            group.cancel_scope.cancel()
        code = await process.wait()
        if run.usage is not None:
            run.usage.stop()
        # The exit code after a signal, as a shell shows it.
        return code if code >= 0 else 128 - code

    async def _end_of_process(self, active: _RunProcess, code: int) -> bool:
        """Decides what the end of a process means for its run."""
        run, stop_reason = active.run, active.stop_reason
        active.stop_reason = None
        # The next emulator continues the run, unless it is being aborted.
        if stop_reason is _StopReason.CLOSE or (
            self._is_closing and stop_reason is not _StopReason.ABORT
        ):
            return False
        if stop_reason is _StopReason.RESTART:
            return True
        if stop_reason is _StopReason.ABORT:
            self._finish(run, Status.ABORTED, exit_code=code)
        elif stop_reason is _StopReason.TIME_OUT:
            message = f"The run took longer than its timeout of {run.options.timeout_secs} seconds"
            self._finish(run, Status.TIMED_OUT, exit_code=code, message=message)
        elif code == 0:
            self._finish(run, Status.SUCCEEDED, exit_code=0)
        elif run.options.restart_on_error:
            run.restart_count += 1
            self._logs.add(run.id, f"ACTOR: Process ended with exit code {code}; restarting.")
            self._save(run)
            await anyio.sleep(_RESTART_PAUSE_SECS)
            return True
        else:
            self._logs.add(run.id, f"ACTOR: Process ended with exit code {code}.")
            message = f"Actor process ended with exit code {code}"
            self._finish(run, Status.FAILED, exit_code=code, message=message)
        return False

    async def _read_output(self, run: Run, process: Process, is_read: anyio.Event) -> None:
        stamper = LineStamper(lambda text: self._logs.add(run.id, text))
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                async for piece in process.stdout:
                    stamper.feed(piece)
        finally:
            stamper.flush()
            is_read.set()

    async def _end(self, active: _RunProcess, gracefully: bool) -> None:
        process = active.process
        if process is None:
            return
        if not gracefully:
            _signal_group(process, signal.SIGKILL)
        elif self._events.has_listener(active.run.id):
            await self._events.send(active.run.id, "aborting")
            await self._events.send(active.run.id, "persistState", {"isMigrating": False})
            await _wait_or_kill(process, self._options.abort_grace_secs)
        else:
            _signal_group(process, signal.SIGTERM)
            await _wait_or_kill(process, self._options.abort_grace_secs)

    async def _migrate(self, active: _RunProcess) -> None:
        process = active.process
        if process is None:
            return
        if self._events.has_listener(active.run.id):
            await self._events.send(active.run.id, "migrating")
            await self._events.send(active.run.id, "persistState", {"isMigrating": True})
            with anyio.move_on_after(_MIGRATION_GRACE_SECS):
                await process.wait()
        await self._stop(process)

    async def _stop(self, process: Process) -> None:
        _signal_group(process, signal.SIGTERM)
        await _wait_or_kill(process, self._options.stop_grace_secs)


async def _kill_orphans_of(run: Run) -> None:
    """Kills the processes of a run that have left its process group."""
    await to_thread.run_sync(kill_orphans, [run.id])


async def _wait_or_kill(process: Process, grace_secs: float) -> None:
    with anyio.move_on_after(grace_secs):
        await process.wait()
    if process.returncode is None:
        _signal_group(process, signal.SIGKILL)
        await process.wait()


def _signal_group(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
