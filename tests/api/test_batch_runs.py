"""A Python program runs a batch: in a loop, without one, in threads, with its events."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio
import pytest
import structlog

from apify_emulator.testing.handle import EmulatorHandle
from orchestrator import (
    AttemptFailed,
    Batch,
    BatchEnded,
    BatchStarted,
    Event,
    JobSettled,
    RunStarted,
)
from orchestrator.errors import JobsFailed, TooManyFailures
from orchestrator.model.states import JobStatus
from tests.api.simulated import simulated, sweep
from tests.support.command import wait_until

SPEC = """
[batch]
name = "shops"
[params]
country = "us"
most = 2
[[jobs]]
name = "{{ country }}-{{ n }}"
actor = "orchestrator/simulated"
input = { items = "{{ n }}" }
matrix = { n = { range = [1, 2] } }
"""


async def test_jobs_arrive_when_they_are_settled(emulator: EmulatorHandle) -> None:
    """Each job comes once, with its items on disk."""
    async with Batch(name="shops", jobs=[sweep([1, 2, 3])], max_runs=2) as batch:
        found = {job.key: (job.status, len(list(job.items)), job.items.path) async for job in batch}
    jobs = batch.folder / "jobs"
    assert found == {
        f"shop-{n}": (JobStatus.SUCCEEDED, n, jobs / f"shop-{n}" / "items.jsonl") for n in (1, 2, 3)
    }
    assert batch.result.succeeded


async def test_batch_of_a_spec_takes_parameters(emulator: EmulatorHandle, tmp_path: Path) -> None:
    """Values of Python reach the templates as `--param` does."""
    (tmp_path / "shops.toml").write_text(SPEC)
    batch = Batch.from_spec("shops.toml", params={"country": "de", "most": 5}, select="name:*-2")
    result = await batch.run()
    assert [(job.key, job.params) for job in result.jobs] == [
        ("de-2", {"country": "de", "most": 5, "n": 2})
    ]


async def test_parameter_that_is_no_text_arrives_as_the_spec_means_it(
    emulator: EmulatorHandle, tmp_path: Path
) -> None:
    """An exact number and a path become what JSON has, without quotes of their own."""
    (tmp_path / "shops.toml").write_text(SPEC.replace("most = 2", "most = 0.5"))
    params = {"country": Path("de"), "most": Decimal("1.5")}
    result = await Batch.from_spec("shops.toml", params=params, limit=1).run()
    assert [(job.key, job.params) for job in result.jobs] == [
        ("de-1", {"country": "de", "most": 1.5, "n": 1})
    ]


async def test_most_runs_of_the_program_win_over_the_environment(
    emulator: EmulatorHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a program gives wins, also where it is a field of a spec."""
    monkeypatch.setenv("ORCHESTRATOR_MAX_RUNS", "20")
    jobs = [simulated(name, duration_secs=0.2) for name in ("a", "b")]
    await Batch(name="shops", jobs=jobs, max_runs=1).run()
    first, second = sorted(emulator.runs(), key=lambda run: run["startedAt"])
    assert first["finishedAt"] <= second["startedAt"]


async def test_failed_jobs_are_part_of_the_result(emulator: EmulatorHandle) -> None:
    """A job that fails raises nothing, unless the program asks for that."""
    jobs = [simulated("good"), simulated("bad", outcome="FAILED")]
    result = await Batch(name="shops", jobs=jobs).run()
    assert (result.exit_code, result.counts[JobStatus.FAILED]) == (1, 1)
    assert "FAILED with exit code 1" in (result.job("bad").error or "")
    with pytest.raises(JobsFailed, match="not every job succeeded: 1 FAILED"):
        result.check()


async def test_early_stop_is_told_by_its_reason(emulator: EmulatorHandle) -> None:
    """A batch that its own rules stop is a result, with the reason in words."""
    jobs = [simulated(f"bad-{n}", outcome="FAILED") for n in range(4)]
    result = await Batch(name="shops", jobs=jobs, stop_after_failures=1, max_runs=1).run()
    assert result.exit_code == 3
    assert result.counts[JobStatus.NOT_STARTED] == 3
    with pytest.raises(TooManyFailures):
        result.check()


def test_program_without_a_loop_runs_a_batch(emulator: EmulatorHandle) -> None:
    """`run_sync` runs the batch in a loop of its own."""
    result = Batch(name="shops", jobs=[sweep([1, 2])]).run_sync()
    assert sum(1 for _ in result.items()) == 3
    assert result.item_count == 3


async def test_events_tell_what_happens(emulator: EmulatorHandle) -> None:
    """A program can show progress from typed events."""
    events: list[Event] = []
    batch = Batch(name="shops", jobs=[simulated("shaky", fail_attempts=1, retries_=1)])
    await batch.run(events.append)
    assert [type(event) for event in events] == [
        BatchStarted,
        RunStarted,
        AttemptFailed,
        RunStarted,
        JobSettled,
        BatchEnded,
    ]
    failed, settled = events[2], events[4]
    assert isinstance(failed, AttemptFailed)
    assert (failed.job, failed.attempt) == ("shaky", 1)
    assert isinstance(settled, JobSettled)
    assert (settled.job.attempts, settled.job.succeeded) == (2, True)
    assert {event.folder for event in events} == {batch.folder}


async def test_program_reads_on_after_it_has_left_the_batch(emulator: EmulatorHandle) -> None:
    """The events that are left can be read when the batch has ended."""
    async with Batch(name="shops", jobs=[sweep([1, 2, 3])], max_runs=1) as batch:
        async for event in batch.events():
            if isinstance(event, JobSettled):
                break
        ended = partial(wait_until, lambda: batch.exit_code is not None, "the end")
        await anyio.to_thread.run_sync(ended)
    assert [job.key async for job in batch] == ["shop-2", "shop-3"]
    assert [job.key async for job in batch] == []


async def test_skipped_and_reused_jobs_are_settled_too(emulator: EmulatorHandle) -> None:
    """`async for` yields every job, also one that needs no run of its own."""
    jobs = [
        simulated("old", items=2, reuse_="1h"),
        simulated("bad", outcome="FAILED"),
        simulated("next", needs_=["bad"]),
    ]
    await Batch(name="shops", jobs=jobs).run()
    async with Batch(name="shops", jobs=jobs) as batch:
        found = {job.key: job.status.value async for job in batch}
    assert found == {"old": "SUCCEEDED", "bad": "FAILED", "next": "SKIPPED"}
    assert len(emulator.runs()) == 3


async def test_two_batches_share_one_loop(emulator: EmulatorHandle) -> None:
    """Batches of different names run at once; each logs only its own events."""
    batches = [Batch(name=name, jobs=[sweep([1, 2])]) for name in ("a", "b")]
    async with anyio.create_task_group() as tasks:
        for batch in batches:
            tasks.start_soon(batch.run)
    for batch in batches:
        log = (batch.folder / "log.jsonl").read_text().splitlines()
        assert {json.loads(line)["batch_id"] for line in log} == {batch.result.id}
        assert sum("job_settled" in line for line in log) == 2


async def test_reused_jobs_that_items_become_are_settled_too(emulator: EmulatorHandle) -> None:
    """A program that takes results from the jobs as they come misses none of them."""
    rows = {"needs": "list", "fields": ["index"]}
    jobs = [
        simulated("list", items=3),
        simulated("part-{{ index }}", n="{{ index }}", reuse_="1h", matrix_={"rows": rows}),
    ]
    for _ in range(2):
        async with Batch(name="shops", jobs=jobs) as batch:
            assert sorted([job.key async for job in batch]) == [
                "list",
                "part-0",
                "part-1",
                "part-2",
            ]
    assert len(emulator.runs()) == 5


def test_threads_run_batches(emulator: EmulatorHandle) -> None:
    """Threads other than the main one run batches, and no signal handler is installed."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with ThreadPoolExecutor(2) as pool:
        batches = [Batch(name=name, jobs=[sweep([1])]) for name in ("a", "b")]
        results = list(pool.map(Batch.run_sync, batches))
    assert [result.succeeded for result in results] == [True, True]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_progress_is_there_while_the_batch_runs(emulator: EmulatorHandle) -> None:
    """A program reads the figures at any time."""
    async with Batch(name="shops", jobs=[sweep([1, 2])], max_runs=1) as batch:
        async for _ in batch:
            figures = batch.progress()
            assert figures is not None
            assert figures.total == 2
            assert figures.done >= 1


def test_progress_is_there_for_other_threads_and_after_the_end(emulator: EmulatorHandle) -> None:
    """Another thread gets those that were recorded last; after the end there are none."""
    batch = Batch(name="shops", jobs=[simulated("one", duration_secs=1.0)])
    assert batch.progress() is None
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(batch.run_sync)
        wait_until(lambda: batch.progress() is not None, "figures")
        figures = batch.progress()
        assert figures is not None
        assert figures.total == 1
        assert running.result().succeeded
    assert batch.progress() is None


async def test_batch_leaves_structlog_and_the_terminal_alone(
    emulator: EmulatorHandle, capfd: pytest.CaptureFixture[str]
) -> None:
    """A library prints nothing and configures nothing of the program."""
    await Batch(name="shops", jobs=[simulated("bad", outcome="FAILED")]).run()
    assert not structlog.is_configured()
    assert capfd.readouterr() == ("", "")


def test_batch_runs_on_an_emulator_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`local=True` needs no account and no token, as `--local` does."""
    monkeypatch.chdir(tmp_path)
    result = Batch(name="shops", jobs=[sweep([1])], local=True).run_sync()
    assert result.succeeded
    assert (tmp_path / "output" / ".platform").is_dir()
