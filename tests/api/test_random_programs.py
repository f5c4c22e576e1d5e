"""Programs with random specs, ways to run them and ways to leave them early."""

from __future__ import annotations

import asyncio
import json
import os
import random
import tomllib
from collections import Counter
from collections.abc import Callable
from math import inf
from pathlib import Path

import anyio
import pytest

from apify_emulator.testing.handle import EmulatorHandle
from orchestrator import Batch, BatchResult, Event, Job, JobSettled
from tests.crash.platform_evidence import seen_runs, started_twice
from tests.crash.random_features import Features, draw

SEEDS = 60 if os.environ.get("ORCHESTRATOR_SOAK") else 2
PROGRAMS = 5
"""How many programs may leave a batch early; the next one runs to the end."""

Step = Callable[[], None]


class Leaves(Exception):
    """A program stops before the end."""


def made(features: Features, *, by_file: bool) -> Batch:
    """A batch of the spec, from a file or from values of Python."""
    spec = features.spec()
    if by_file:
        Path("shops.toml").write_text(spec)
        return Batch.from_spec("shops.toml", resume=True)
    tables = tomllib.loads(spec)
    jobs = [Job(**job) for job in tables.pop("jobs")]
    return Batch(**tables.pop("batch"), **tables, jobs=jobs, resume=True)


async def by_listener(batch: Batch, seen: Counter[str], step: Step) -> None:
    """Hears of each event in a function."""

    def hear(event: Event) -> None:
        if isinstance(event, JobSettled):
            seen[event.job.key] += 1
        step()

    await batch.run(hear)


async def by_jobs(batch: Batch, seen: Counter[str], step: Step) -> None:
    """Reads the items of each job when it is settled."""
    async with batch:
        async for job in batch:
            seen[job.key] += 1
            assert len(list(job.items)) == len(job.items)
            step()


async def by_two_tasks(batch: Batch, seen: Counter[str], step: Step) -> None:
    """Two tasks share the jobs."""

    async def take() -> None:
        async for job in batch:
            seen[job.key] += 1
            step()

    async with batch, anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        tasks.start_soon(take)


async def by_events(batch: Batch, seen: Counter[str], step: Step) -> None:
    """Looks at the whole batch between its events, and takes the events in parts."""
    async with batch:
        for _ in range(3):
            async for event in batch.events():
                if isinstance(event, JobSettled):
                    seen[event.job.key] += 1
                step()
                assert batch.progress() is not None or batch.exit_code is not None
                if len(batch.jobs) % 3 == 0:
                    break
        await by_rest(batch, seen, step)


async def by_rest(batch: Batch, seen: Counter[str], step: Step) -> None:
    """Takes the jobs that are left."""
    async for job in batch:
        seen[job.key] += 1
        step()


WAYS = [by_listener, by_jobs, by_two_tasks, by_events]


async def play(chance: random.Random, batch: Batch, *, is_last: bool) -> Counter[str] | None:
    """Runs a batch; returns the jobs of which the program heard, or None if it left early."""
    seen: Counter[str] = Counter()
    left = chance.randint(1, 25)
    leaves = None if is_last else chance.choice([None, "error", "timeout", "cancel"])

    def step() -> None:
        nonlocal left
        left -= 1
        if left == 0 and leaves == "error":
            raise Leaves

    secs = chance.uniform(0.02, 0.6)
    work = chance.choice(WAYS)(batch, seen, step)
    is_left = True
    try:
        # The two ways to be cancelled: by a scope of anyio, and by asyncio itself.
        with anyio.move_on_after(secs if leaves == "cancel" else inf):
            async with asyncio.timeout(secs if leaves == "timeout" else None):
                await work
            is_left = False
    except* (Leaves, TimeoutError):
        pass
    return None if is_left else seen


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_random_programs_leave_a_batch_whole(
    emulator: EmulatorHandle, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Whoever leaves, however often: each job runs once, and Python says what the files say."""
    for name in ("SETTLE", "BREAKER_PROBE"):
        monkeypatch.setenv(f"ORCHESTRATOR_{name}_SECS", "0.5")
    chance = random.Random(f"programs {seed}")  # noqa: S311 - to be repeatable
    features, by_file = draw(chance), chance.random() < 0.5
    folders: set[Path] = set()
    for number in range(PROGRAMS + 1):
        batch = made(features, by_file=by_file)
        seen = await play(chance, batch, is_last=number == PROGRAMS)
        if batch.exit_code is not None:
            folders.add(batch.folder)
            check_files(batch.result)
        if batch.exit_code == 0:
            break
    result = batch.result
    assert (len(folders), batch.exit_code) == (1, 0), features
    if seen is not None and number == 0:
        assert (seen.total(), len(seen)) == (features.jobs, features.jobs), features
    runs = seen_runs(emulator.runs())
    assert (len(runs), started_twice(runs)) == (features.runs, []), features
    assert (result.item_count, len(list(result.items()))) == (features.rows, features.rows)
    assert result.to_arrow().num_rows == features.rows


def check_files(result: BatchResult) -> None:
    """Python and the reports of the command say the same of a batch, ended or not."""
    summary = json.loads((result.folder / "summary.json").read_text())
    counts = {status: count for status, count in summary["jobs"].items() if count}
    assert {status.value: count for status, count in result.counts.items() if count} == counts
    assert (result.exit_code, result.item_count) == (summary["exit_code"], summary["items"])
    lines = (result.folder / "jobs.jsonl").read_text().splitlines()
    said = [
        (job["key"], job["status"], job["run_id"], job["attempts"], job["params"])
        for job in map(json.loads, lines)
    ]
    assert said == [
        (job.key, job.status.value, job.run_id, job.attempts, dict(job.params))
        for job in Batch.open(result.folder).jobs
    ]
