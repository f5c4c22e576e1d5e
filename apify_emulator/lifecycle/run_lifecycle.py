"""
How a run begins, changes its status, ends, and is resurrected.

Timers move simulated runs; `processes` runs real Actors. Every end of a run passes through
`finish`, which writes it to the journal and wakes all who wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from apify_emulator.account import AccountLimits
from apify_emulator.actors.actor import Actor
from apify_emulator.journal import Journal
from apify_emulator.lifecycle.capacity import check_capacity
from apify_emulator.lifecycle.timers import Timer, Timers
from apify_emulator.options import EmulatorOptions
from apify_emulator.processes.actor_environments import Environments
from apify_emulator.processes.run_logs import RunLogs
from apify_emulator.processes.run_processes import Processes
from apify_emulator.refusals import ApiError, invalid_input
from apify_emulator.runs.charging import (
    ACTOR_START,
    DATASET_ITEM,
    charge_virtual_items,
    charge_within_cap,
    event_prices,
    item_price,
)
from apify_emulator.runs.run import Run, RunOptions, Status
from apify_emulator.runs.run_registry import RunRegistry
from apify_emulator.runs.run_views import cost_usd
from apify_emulator.runs.simulation import Script, items_at_end, script_of, share_done
from apify_emulator.times import now
from apify_emulator.webhooks.webhook_registry import Webhooks

MAX_METAMORPHS = 10
_CAP_REACHED = "The run has reached its maximum cost (maxTotalChargeUsd)"


class RunLifecycle:
    """The status changes of all runs."""

    def __init__(
        self,
        *,
        options: EmulatorOptions,
        account: AccountLimits,
        runs: RunRegistry,
        journal: Journal,
        logs: RunLogs,
        timers: Timers,
        webhooks: Webhooks,
        processes: Processes,
    ) -> None:
        self._options = options
        self._account = account
        self._runs = runs
        self._journal = journal
        self._logs = logs
        self._timers = timers
        self._webhooks = webhooks
        self._processes = processes
        self._due: dict[str, Timer] = {}
        self._scripts: dict[str, Script] = {}
        processes.attach(save=self.save, mark_running=self._mark_running, finish=self.finish)

    @property
    def environments(self) -> Environments:
        """The environments of the Actors."""
        return self._processes.environments

    def create(self, run: Run, script: Script | None) -> None:
        """Registers a new run and begins it; a run of a simulated Actor has a script."""
        self._runs.add(run)
        if script is not None:
            self._scripts[run.id] = script
        self._begin(run, is_new=True)
        self._webhooks.created(run)

    def continue_runs(self, downtime_secs: float) -> None:
        """
        Continues the runs that were active when the emulator stopped, as after a migration.

        The time between does not count for their timeouts.
        """
        for run in self._runs.all:
            if run.is_terminal:
                continue
            try:
                self._read_script(run)
            except ApiError as problem:
                # The recording that it plays was deleted meanwhile.
                self._scripts[run.id] = Script(items=0)
                self.finish(run, Status.FAILED, message=str(problem))
                continue
            # Their processes ended with the earlier emulator, so only the status is missing.
            if run.status == Status.ABORTING:
                self.finish(run, Status.ABORTED)
                continue
            if run.status == Status.TIMING_OUT:
                self.finish(run, Status.TIMED_OUT)
                continue
            if run.running_since is not None:
                run.migration_count += 1
                run.running_since += downtime_secs
                if run.timeout_at is not None:
                    run.timeout_at += downtime_secs
            self._begin(run, is_new=False)

    def save(self, run: Run) -> None:
        """Writes a run to the journal as it is."""
        self._journal.put("run", run.id, run)

    def finish(
        self,
        run: Run,
        status: Status,
        *,
        exit_code: int | None = None,
        message: str | None = None,
    ) -> None:
        """Ends a run, unless it has ended; only a resurrection changes its status then."""
        if run.is_terminal:
            return
        moment = now()
        if run.is_virtual:
            script = self._scripts.pop(run.id)
            share = share_done(run, script, status, moment)
            # From now on the items do not depend on the time any more.
            run.items_made = items_at_end(run, script, share, moment)
            if script.cost_usd is not None:
                run.cost_usd = (run.cost_usd or 0.0) + script.cost_usd * share
            if script.recording is not None and script.recording.charged:
                run.charged = script.recording.charged
            elif run.pricing is not None:
                charge_virtual_items(run)
        timer = self._due.pop(run.id, None)
        if timer is not None:
            timer.cancel()
        run.status = status
        # The wall clock can go back, but a run does not end before its start.
        run.finished_at = max(moment, run.started_at)
        run.exit_code = exit_code
        if message is not None and not run.is_message_terminal:
            run.status_message = message
        self._runs.release(run)
        self._runs.ended_usd += cost_usd(run, moment)
        self.save(run)
        run.wake()
        self._logs.wake(run.id)
        self._webhooks.ended(run)

    def charge(self, run: Run, name: str, count: int) -> None:
        """Charges events of a run; a run that would exceed its cap is aborted gracefully."""
        with self._counted(run):
            charged = charge_within_cap(run, name, count)
        self.save(run)
        if charged < count and not run.is_terminal:
            run.status_message = _CAP_REACHED
            self.abort(run, gracefully=True)

    def count_items(self, run: Run, count: int) -> None:
        """Charges items that were added to the run's own dataset, if they have a price."""
        if item_price(run.pricing) is not None:
            with self._counted(run):
                run.paid_items += count
            self.save(run)
        elif DATASET_ITEM in event_prices(run.pricing):
            self.charge(run, DATASET_ITEM, count)

    @contextmanager
    def _counted(self, run: Run) -> Iterator[None]:
        """Counts what a run that has ended costs more."""
        moment = now()
        before = cost_usd(run, moment)
        yield
        if run.is_terminal:
            self._runs.ended_usd += cost_usd(run, moment) - before

    def abort(self, run: Run, *, gracefully: bool) -> None:
        """Aborts a run; does nothing if it has ended or is being aborted."""
        if run.is_terminal or run.status == Status.ABORTING:
            return
        was_ready = run.status == Status.READY
        run.status = Status.ABORTING
        self.save(run)
        # A run without a slot has no process, so the timer below ends the run.
        if not run.is_virtual and self._processes.abort(run, gracefully=gracefully):
            return
        grace = 0.0
        if run.is_virtual and gracefully and not was_ready:
            grace = min(self._scripts[run.id].abort_secs, self._options.abort_grace_secs)
        self._schedule(run, grace, partial(self.finish, run, Status.ABORTED))

    def resurrect(self, run: Run, options: RunOptions, *, build: tuple[str, str] | None) -> None:
        """
        Resurrects a run that has ended: same id, same storages, and the timeout starts again.

        Args:
            build: id and number of another build; None keeps the build.

        Raises:
            ApiError: it has not ended (400), the account is full (402), or its recording was
                deleted (404).
        """
        if not run.is_terminal:
            raise invalid_input(
                f"The run {run.id} is {run.status}; only an ended run can be resurrected"
            )
        check_capacity(self._account, self._runs, options.memory_mbytes)
        self._read_script(run)
        self._runs.ended_usd -= cost_usd(run, now())
        run.seconds_used = run.seconds_run(now())
        run.options = options
        if build is not None:
            run.build_id, run.build_number = build
        run.resurrect_count += 1
        run.attempt += 1
        self._reset(run)
        self._runs.take(run)
        self._webhooks.resurrected(run)
        self._begin(run, is_new=True)

    def reboot(self, run: Run) -> None:
        """
        Stops a run's process and starts it again on the same storages.

        Raises:
            ApiError: the run is not RUNNING (400).
        """
        self._check_running(run)
        run.reboot_count += 1
        self.save(run)
        if run.is_virtual:
            self._schedule_end(run, self._scripts[run.id])
        else:
            self._processes.restart(run)

    def metamorph(
        self, run: Run, actor: Actor, moment: str, *, script: Script | None = None
    ) -> None:
        """
        Turns a run into a run of another Actor; the caller writes the new input record.

        Args:
            script: of the other Actor if it is simulated.

        Raises:
            ApiError: the run is not RUNNING, has metamorphed too often, or only one of the two
                Actors is simulated (400).
        """
        self._check_running(run)
        turns = run.metamorphs or []
        if run.is_virtual != (script is not None):
            raise invalid_input("Only both Actors, or none of them, can be simulated")
        if len(turns) >= MAX_METAMORPHS:
            raise invalid_input(f"A run can metamorph {MAX_METAMORPHS} times at most")
        key = f"INPUT-METAMORPH-{len(turns) + 1}"
        run.metamorphs = [
            *turns,
            {"createdAt": moment, "actorId": actor.id, "buildId": actor.build_id, "inputKey": key},
        ]
        self._runs.move(run, actor.id)
        run.build_id, run.build_number, run.input_key = (
            actor.build_id,
            actor.build_number,
            key,
        )
        if script is not None:
            self._scripts[run.id] = script
            self._restart_simulation(run, script)
            return
        self.save(run)
        self._processes.restart(run)

    def _check_running(self, run: Run) -> None:
        if run.is_terminal:
            raise ApiError(
                400, "job-finished", f"The run {run.id} has already finished: it is {run.status}"
            )
        if run.status != Status.RUNNING:
            raise invalid_input(f"The run {run.id} is {run.status}, not RUNNING")

    def _reset(self, run: Run) -> None:
        run.status = Status.READY
        run.finished_at = run.running_since = run.timeout_at = run.exit_code = None
        run.status_message = None
        run.is_message_terminal = False

    def _read_script(self, run: Run) -> None:
        if run.is_virtual:
            self._scripts[run.id] = script_of(run)

    def _begin(self, run: Run, *, is_new: bool) -> None:
        if not run.is_virtual:
            self.save(run)
            self._processes.launch(run)
            return
        script = self._scripts[run.id]
        if run.running_since is None and script.ready_secs > 0:
            self.save(run)
            self._schedule(run, script.ready_secs, partial(self._start_simulation, run, script))
        elif run.running_since is None:
            self._start_simulation(run, script)
        else:
            if not is_new:
                self.save(run)
            self._schedule_end(run, script)

    def _mark_running(self, run: Run) -> None:
        """Moves a run to RUNNING; its timeout counts from the first time."""
        if run.running_since is None:
            run.running_since = now()
            if run.options.timeout_secs:
                run.timeout_at = run.running_since + run.options.timeout_secs
            if ACTOR_START in event_prices(run.pricing):
                # One for each gigabyte of memory that has begun.
                self.charge(run, ACTOR_START, math.ceil(run.options.memory_mbytes / 1024))
        run.status = Status.RUNNING
        self.save(run)

    def _start_simulation(self, run: Run, script: Script) -> None:
        self._mark_running(run)
        self._schedule_end(run, script)

    def _schedule_end(self, run: Run, script: Script) -> None:
        began = run.running_since or now()
        ends = began + script.duration_secs
        limit = math.inf if run.timeout_at is None else run.timeout_at
        if limit < ends:
            end = partial(self.finish, run, Status.TIMED_OUT, message=_timed_out(run))
            self._schedule(run, limit - now(), end)
        else:
            self._schedule(run, ends - now(), partial(self._finish_simulation, run, script))

    def _finish_simulation(self, run: Run, script: Script) -> None:
        status = script.ends_as(run.attempt)
        if status == Status.FAILED and run.options.restart_on_error:
            run.restart_count += 1
            run.attempt += 1
            self._restart_simulation(run, script)
            return
        code = script.exit_code
        if code is None and status in (Status.SUCCEEDED, Status.FAILED):
            code = int(status == Status.FAILED)
        message = script.status_message
        if message is None and status == Status.FAILED:
            message = "The simulated Actor failed, because its input says so"
        self.finish(run, status, exit_code=code, message=message)

    def _restart_simulation(self, run: Run, script: Script) -> None:
        self.save(run)
        left = math.inf if run.timeout_at is None else run.timeout_at - now()
        if left <= script.duration_secs:
            end = partial(self.finish, run, Status.TIMED_OUT, message=_timed_out(run))
            self._schedule(run, left, end)
        else:
            again = partial(self._finish_simulation, run, script)
            # Not 0, because a run that always fails would restart without a pause.
            self._schedule(run, max(script.duration_secs, 0.01), again)

    def _schedule(self, run: Run, delay_secs: float, call: partial[None]) -> None:
        timer = self._due.pop(run.id, None)
        if timer is not None:
            timer.cancel()
        self._due[run.id] = self._timers.after(delay_secs, call)


def _timed_out(run: Run) -> str:
    return f"The run took longer than its timeout of {run.options.timeout_secs} seconds"
