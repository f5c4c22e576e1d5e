"""A program leaves a batch before its end, and another one continues it."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import anyio
import pytest

from apify_emulator.testing.handle import EmulatorHandle
from orchestrator import Batch, Event, RunStarted
from orchestrator.errors import LeftEarly, UsageError
from tests.api.simulated import simulated, slow, sweep
from tests.support.command import fork_server, wait_until
from tests.support.example_runs import PYTHON

SCRIPT = """
from orchestrator import Batch, Job

job = Job(name="slow", actor="orchestrator/simulated", input={"duration_secs": 3600})
try:
    Batch(name="shops", jobs=[job]).run_sync()
except KeyboardInterrupt:
    print("interrupted", Batch.open("shops").exit_code)
"""
SPEC = """
[batch]
name = "shops"
schedule = "@daily"
[[jobs]]
name = "slow"
actor = "orchestrator/simulated"
input = { duration_secs = 3600 }
"""


async def wait_for_a_run(batch: Batch) -> None:
    async for event in batch.events():
        if isinstance(event, RunStarted):
            return


def statuses(emulator: EmulatorHandle) -> list[str]:
    return [run["status"] for run in emulator.runs()]


def batches_in(output: Path) -> list[Path]:
    return list(output.glob("*/*"))


async def test_leaving_early_is_the_first_ctrl_c(emulator: EmulatorHandle) -> None:
    """The run continues at the platform, and the batch can be resumed."""
    async with Batch(name="shops", jobs=[slow("slow")]) as batch:
        await wait_for_a_run(batch)
    assert batch.result.exit_code == 130
    assert batch.result.reason == "the Python program left the batch before its end"
    assert statuses(emulator) == ["RUNNING"]
    with pytest.raises(LeftEarly):
        batch.result.check()


async def test_leaving_early_aborts_the_runs_on_request(emulator: EmulatorHandle) -> None:
    """`abort_runs` is what `--on-signal abort` is for the command."""
    async with Batch(name="shops", jobs=[slow("slow")], abort_runs=True) as batch:
        await wait_for_a_run(batch)
    assert statuses(emulator) in (["ABORTING"], ["ABORTED"])


async def test_next_program_resumes_the_batch(emulator: EmulatorHandle, tmp_path: Path) -> None:
    """With `resume`, an interrupted batch continues with the run that it has, then is done."""
    (tmp_path / "shops.toml").write_text(SPEC)
    async with Batch.from_spec("shops.toml", resume=True) as left:
        await wait_for_a_run(left)
    emulator.advance(4000)
    resumed = Batch.from_spec("shops.toml", resume=True)
    assert (await resumed.run()).succeeded
    done = Batch.from_spec("shops.toml", resume=True)
    assert (await done.run()).succeeded
    assert left.folder == resumed.folder == done.folder
    assert (done.exit_code, len(emulator.runs())) == (0, 1)


async def test_done_day_without_a_schedule_is_refused(emulator: EmulatorHandle) -> None:
    """A second call on the same day must not pass for success, as with the command."""
    await Batch(name="shops", jobs=[sweep([1])], resume=True).run()
    with pytest.raises(UsageError, match="schedule"):
        await Batch(name="shops", jobs=[sweep([1])], resume=True).run()


async def test_changed_jobs_are_told_when_a_batch_is_resumed(emulator: EmulatorHandle) -> None:
    """A batch keeps its own copy of its jobs, and says so."""
    async with Batch(name="shops", jobs=[slow("slow")], resume=True) as left:
        await wait_for_a_run(left)
    emulator.advance(4000)
    again = Batch(name="shops", jobs=[slow("slow"), simulated("new")], resume=True)
    result = await again.run()
    assert [job.key for job in result.jobs] == ["slow"]
    assert any("added: new" in note for note in again.notes)


async def test_cancelled_program_leaves_the_batch_in_order(emulator: EmulatorHandle) -> None:
    """A timeout of the program is no crash of the batch."""
    batch = Batch(name="shops", jobs=[slow("slow")])
    with anyio.move_on_after(30) as scope:
        async with batch:
            await wait_for_a_run(batch)
            scope.cancel()
            await anyio.sleep_forever()
    assert batch.result.exit_code == 130
    assert Batch.open("shops").state == "stopped"


async def test_cancelled_task_leaves_the_batch_in_order(emulator: EmulatorHandle) -> None:
    """The cancellation of asyncio itself, as by `asyncio.timeout`, is the same."""
    batch = Batch(name="shops", jobs=[slow("slow")])

    async def run() -> None:
        async with asyncio.timeout(None) as timeout, batch:
            await wait_for_a_run(batch)
            timeout.reschedule(0)
            await anyio.sleep_forever()

    with pytest.raises(TimeoutError):
        await run()
    assert batch.result.exit_code == 130
    assert statuses(emulator) == ["RUNNING"]


async def test_another_task_may_leave_the_batch(emulator: EmulatorHandle) -> None:
    """A fixture of pytest enters and leaves it in two tasks."""
    batch = Batch(name="shops", jobs=[slow("slow")])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batch.__aenter__)
    await wait_for_a_run(batch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batch.__aexit__, None, None, None)
    assert batch.result.exit_code == 130
    assert [task for task in asyncio.all_tasks() if task.get_name() == "batch"] == []


async def test_task_that_is_cancelled_while_it_leaves_leaves_no_task(
    emulator: EmulatorHandle,
) -> None:
    """The work ends at once, as by a second Ctrl-C."""
    batch = Batch(name="shops", jobs=[slow("slow")])
    await batch.__aenter__()
    await wait_for_a_run(batch)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await batch.__aexit__(None, None, None)
    assert [task for task in asyncio.all_tasks() if task.get_name() == "batch"] == []


async def test_program_that_cancels_all_tasks_waits_for_no_more_events(
    emulator: EmulatorHandle,
) -> None:
    """A program may end that way, and its batch can be resumed as after a crash."""
    async with Batch(name="shops", jobs=[slow("slow")]) as batch:
        await wait_for_a_run(batch)
        for task in asyncio.all_tasks():
            if task.get_name() == "batch":
                task.cancel()
        with pytest.raises(LeftEarly), anyio.fail_after(60):
            async for _ in batch.events():
                pass
    assert statuses(emulator) == ["RUNNING"]


async def test_program_that_is_cancelled_at_once_starts_nothing(
    emulator: EmulatorHandle, tmp_path: Path
) -> None:
    """A batch that has not begun leaves no folder behind."""
    batch = Batch(name="shops", jobs=[slow("slow")])
    with anyio.CancelScope() as scope:
        scope.cancel()
        await batch.run()
    assert emulator.runs() == []
    with pytest.raises(UsageError, match="was not run"):
        _ = batch.folder
    assert batches_in(tmp_path / "output") == []


async def test_error_of_a_listener_is_the_error_of_the_program(emulator: EmulatorHandle) -> None:
    """An exception in `on_event` ends the batch in order and arrives as it is."""

    def fail(event: Event) -> None:
        raise LookupError(event.folder.parent.name)

    batch = Batch(name="shops", jobs=[slow("slow")])
    with pytest.raises(LookupError, match="shops"):
        await batch.run(fail)
    assert batch.result.exit_code == 130


async def test_own_error_of_the_program_arrives_as_it_is(emulator: EmulatorHandle) -> None:
    """No group wraps the error that a program raises inside `async with`."""
    batch = Batch(name="shops", jobs=[slow("slow")])
    with pytest.raises(LookupError, match="mine"):
        async with batch:
            raise LookupError("mine")
    assert batch.result.exit_code == 130


def test_ctrl_c_of_a_script_leaves_the_batch(emulator: EmulatorHandle, tmp_path: Path) -> None:
    """Ctrl-C in `run_sync` saves the state, then raises KeyboardInterrupt."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = fork_server(()).start(PYTHON, [script], Path.cwd(), dict(os.environ))
    wait_until(lambda: statuses(emulator) == ["RUNNING"], "the run")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert (out, process.code) == ("interrupted 130\n", 0)
    assert statuses(emulator) == ["RUNNING"]
