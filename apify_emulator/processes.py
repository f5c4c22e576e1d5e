"""
How a run of a real Actor is a process: started, watched, stopped, started again.

A run has one incarnation after the other, never two at once; each has its own token and its own
process group. Nothing of a group outlives its incarnation, nor does what has left the group.
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

from apify_emulator.actors import ActorBook
from apify_emulator.environments import Command, Environments
from apify_emulator.errors import BuildFailed
from apify_emulator.events import EventHub
from apify_emulator.ids import now
from apify_emulator.logs import LineStamper, LogBook
from apify_emulator.options import EmulatorOptions
from apify_emulator.orphans import kill_orphans
from apify_emulator.processenv import process_environment, under_limit
from apify_emulator.runs import Run, Status
from apify_emulator.tokens import Tokens

_RESTART_PAUSE_SECS = 0.5
_LAST_OUTPUT_SECS = 2.0
_HEED_MIGRATION_SECS = 1.0


class Settle(Protocol):
    """
    Ends a run.
    """

    def __call__(
        self, run: Run, status: Status, *, exit_code: int | None = None, message: str | None = None
    ) -> None:
        """
        End a run with its status.
        """
        ...


class _Wish(Enum):
    """
    Why a process is being stopped.
    """

    ABORT = auto()
    TIME_OUT = auto()
    RESTART = auto()
    CLOSE = auto()


@dataclass(slots=True)
class _Live:
    """
    A run that waits for a slot or has a process.
    """

    run: Run
    wish: _Wish | None = None
    process: Process | None = None
    building: anyio.CancelScope | None = None
    has_slot: bool = False


class Processes:
    """
    The processes of all runs.
    """

    def __init__(
        self,
        *,
        options: EmulatorOptions,
        actors: ActorBook,
        logs: LogBook,
        events: EventHub,
        tokens: Tokens,
        group: TaskGroup,
        base_url: Callable[[], str],
    ) -> None:
        self._options = options
        self._actors = actors
        self._logs = logs
        self._events = events
        self._tokens = tokens
        self._group = group
        self._base_url = base_url
        self._environments = Environments(options.environments, options.open_files)
        self._slots = anyio.CapacityLimiter(options.slots)
        self._lives: dict[str, _Live] = {}
        self._is_closing = False
        self._save: Callable[[Run], None]
        self._running: Callable[[Run], None]
        self._settle: Settle

    def attach(
        self, *, save: Callable[[Run], None], running: Callable[[Run], None], settle: Settle
    ) -> None:
        """
        Say how a run is journalled, moved to RUNNING and ended.
        """
        self._save, self._running, self._settle = save, running, settle

    def launch(self, run: Run) -> None:
        """
        Begin a run; it stays READY until it has a slot and its environment is built.
        """
        live = _Live(run)
        self._lives[run.id] = live
        self._group.start_soon(self._drive, live, name=f"run {run.id}")

    def abort(self, run: Run, *, gracefully: bool) -> bool:
        """
        Have a run's process end and the run be ABORTED; False where it has not begun yet.
        """
        live = self._lives.get(run.id)
        if live is None:
            return False
        live.wish = _Wish.ABORT
        if live.process is not None:
            self._group.start_soon(self._end, live, gracefully, name=f"abort {run.id}")
        elif live.building is not None:
            live.building.cancel()
        return live.has_slot

    def restart(self, run: Run) -> None:
        """
        End a run's process and start the next incarnation.
        """
        live = self._lives.get(run.id)
        if live is None or live.process is None or live.wish is not None:
            return
        live.wish = _Wish.RESTART
        self._group.start_soon(self._stop, live.process, name=f"restart {run.id}")

    async def close(self) -> None:
        """
        End all processes without ending their runs.
        """
        self._is_closing = True
        lives = [live for live in self._lives.values() if live.process is not None]
        async with anyio.create_task_group() as group:
            for live in lives:
                live.wish = live.wish or _Wish.CLOSE
                group.start_soon(self._migrate, live)

    async def _drive(self, live: _Live) -> None:
        run = live.run
        try:
            async with self._slots:
                live.has_slot = True
                # A run that was aborted while it waited may have been resurrected since.
                while self._lives.get(run.id) is live and not run.is_terminal:
                    if self._is_closing or not await self._incarnate(live):
                        break
        except OSError as problem:
            # No room for the log, or no more files: this run's trouble, not the platform's.
            self._settle(run, Status.FAILED, message=f"The run cannot go on: {problem}")
        finally:
            if self._lives.get(run.id) is live:
                del self._lives[run.id]

    async def _incarnate(self, live: _Live) -> bool:
        """
        Run one process to its end; return whether another one follows.
        """
        run = live.run
        command = await self._command(live)
        if live.wish is _Wish.ABORT:
            self._settle(run, Status.ABORTED)
            return False
        if command is None or self._is_closing:
            return False
        self._running(run)
        token = self._tokens.issue(run.id)
        try:
            code = await self._run(live, command, token)
        finally:
            self._tokens.revoke(token)
            live.process = None
        return await self._after(live, code)

    async def _command(self, live: _Live) -> Command | None:
        run = live.run
        actor = self._actors.by_id.get(run.actor_id)
        if actor is None:
            message = "The Actor of this run is not here any more"
            self._settle(run, Status.FAILED, message=message)
            return None
        try:
            with anyio.CancelScope() as live.building:
                return await self._environments.command(actor)
        except BuildFailed as problem:
            self._logs.add(run.id, f"ACTOR: {problem}")
            self._settle(run, Status.FAILED, message=str(problem))
        finally:
            live.building = None
        return None

    async def _run(self, live: _Live, command: Command, token: str) -> int:
        run = live.run
        self._logs.add(run.id, f"ACTOR: Starting {self._actors.by_id[run.actor_id].full_name}.")
        environment = process_environment(
            run, self._actors.by_id[run.actor_id], token, self._base_url()
        )
        try:
            process = await anyio.open_process(
                under_limit(command.argv, self._options.open_files),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=command.folder,
                env=environment,
                start_new_session=True,
            )
        except OSError as problem:
            self._logs.add(run.id, f"ACTOR: {command.argv[0]} cannot be started: {problem}")
            return 127
        live.process = process
        if live.wish is not None or self._is_closing:
            # It was told to stop while it was being started.
            _signal_group(process, signal.SIGKILL)
        try:
            return await self._watch(live, process)
        finally:
            _signal_group(process, signal.SIGKILL)
            with anyio.CancelScope(shield=True):
                await process.wait()
                await process.aclose()
                await _kill_rest(run)

    async def _watch(self, live: _Live, process: Process) -> int:
        run = live.run
        is_read = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(self._read_output, run, process, is_read, name=f"log {run.id}")
            left = None if run.timeout_at is None else run.timeout_at - now()
            with anyio.move_on_after(left):
                await process.wait()
            if process.returncode is None:
                live.wish = live.wish or _Wish.TIME_OUT
                if run.status == Status.RUNNING:
                    run.status = Status.TIMING_OUT
                    self._save(run)
                await self._stop(process)
            # What the process left behind may still hold the pipe.
            _signal_group(process, signal.SIGKILL)
            await _kill_rest(run)
            with anyio.move_on_after(_LAST_OUTPUT_SECS):
                await is_read.wait()
            group.cancel_scope.cancel()
        code = await process.wait()
        # A signal's number is shown as a shell shows it.
        return code if code >= 0 else 128 - code

    async def _after(self, live: _Live, code: int) -> bool:
        """
        Decide what the end of a process means for its run.
        """
        run, wish = live.run, live.wish
        live.wish = None
        if wish is _Wish.CLOSE or (self._is_closing and wish is not _Wish.ABORT):
            return False
        if wish is _Wish.RESTART:
            return True
        if wish is _Wish.ABORT:
            self._settle(run, Status.ABORTED, exit_code=code)
        elif wish is _Wish.TIME_OUT:
            message = f"The run took longer than its timeout of {run.options.timeout_secs} seconds"
            self._settle(run, Status.TIMED_OUT, exit_code=code, message=message)
        elif code == 0:
            self._settle(run, Status.SUCCEEDED, exit_code=0)
        elif run.options.restart_on_error:
            run.restart_count += 1
            self._logs.add(run.id, f"ACTOR: Process ended with exit code {code}; restarting.")
            self._save(run)
            await anyio.sleep(_RESTART_PAUSE_SECS)
            return True
        else:
            self._logs.add(run.id, f"ACTOR: Process ended with exit code {code}.")
            message = f"Actor process ended with exit code {code}"
            self._settle(run, Status.FAILED, exit_code=code, message=message)
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

    async def _end(self, live: _Live, gracefully: bool) -> None:
        process = live.process
        if process is None:
            return
        if not gracefully:
            _signal_group(process, signal.SIGKILL)
        elif self._events.is_heard(live.run.id):
            await self._events.tell(live.run.id, "aborting")
            await self._events.tell(live.run.id, "persistState", {"isMigrating": False})
            await _wait_or_kill(process, self._options.abort_grace_secs)
        else:
            _signal_group(process, signal.SIGTERM)
            await _wait_or_kill(process, self._options.abort_grace_secs)

    async def _migrate(self, live: _Live) -> None:
        process = live.process
        if process is None:
            return
        if self._events.is_heard(live.run.id):
            await self._events.tell(live.run.id, "migrating")
            await self._events.tell(live.run.id, "persistState", {"isMigrating": True})
            with anyio.move_on_after(_HEED_MIGRATION_SECS):
                await process.wait()
        await self._stop(process)

    async def _stop(self, process: Process) -> None:
        _signal_group(process, signal.SIGTERM)
        await _wait_or_kill(process, self._options.stop_grace_secs)


async def _kill_rest(run: Run) -> None:
    """
    End the processes of a run that have left its group.
    """
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
