"""One simulated batch, from its first start to its end, on virtual time, with crashes."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any

import anyio
import orjson
from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions
from orchestrator.app.account.account_limits import ANY_ROOM, Prices
from orchestrator.app.batch.assembly import (
    Backlog,
    SchedulerOptions,
    make_scheduler,
)
from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.batch.queued_jobs import queue_of, queued_attempt, queued_jobs
from orchestrator.app.batch.sent_requests import SentRequests
from orchestrator.app.batch.spending import usage_now
from orchestrator.app.batch.takeover import make_finder, take_over
from orchestrator.app.setup.settings import Settings
from orchestrator.group_worker import InlineWorker
from orchestrator.ledger import Ledger, LedgerReader, create_ledger
from orchestrator.ledger.connection import connect
from orchestrator.ledger.records import JobReport
from orchestrator.ledger.transactions import commit_group
from orchestrator.model.batches import PoolLimits
from orchestrator.model.jobs import (
    CollectPlan,
    Job,
    JobInput,
    Mode,
    RunOptions,
    Target,
    TargetKind,
)
from orchestrator.model.rules import Action, Rule
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.decide.limits import Limits
from orchestrator.store.atomic_files import Files
from orchestrator.store.group_flush import flush_group
from orchestrator.store.transfer_sizes import TransferSizes
from tests.simulation.conditions import EPOCH, ROOM_USD, Conditions, conditions_of
from tests.simulation.mortal_process import Killed, Life, MortalTransport
from tests.simulation.platform import OF_A_TASK, SimPlatform
from tests.simulation.rows import COST_USD, check_rows, expected_rows, sim_sweeps
from tests.support.builders import make_batch, make_job
from tests.support.refusal_types import concern, documented_types
from tests.support.virtual_time import run_virtual

JOBS = 25
LATEST_SECS = 45.0
"""After so long, nothing of an earlier process can begin: no backup is restored sooner."""

LONGEST_SECS = 20_000.0
SETTLE_SECS = 120.0
NO_PRICES = Prices(compute_unit_usd=Decimal(0), dearest_usd={})
MOST_STEPS = 250
SMALL = TransferSizes(range_items=100, small_bytes=1024, piece_bytes=1024)
"""A few hundred items are a large dataset."""
TASK = Target(kind=TargetKind.TASK, id="me/task")


class Silent:
    """An observer that ignores everything."""

    def __getattr__(self, name: str) -> object:
        return _nothing


def _nothing(*_told: object, **_more: object) -> None:
    """Ignores everything."""


def play(
    seed: int,
    folder: Path,
    *,
    crashes: int = 3,
    platform: SimPlatform | None = None,
    sizes: TransferSizes = SMALL,
) -> SimPlatform:
    """Plays a simulation and checks all invariants; a failure names the invariant."""
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    platform = platform or SimPlatform(seed, conditions=conditions_of(seed))
    platform.longest_secs = LONGEST_SECS
    is_like = platform.conditions
    jobs = [random_job(seq, chance, is_like) for seq in range(JOBS)]
    rows = set(expected_rows(jobs)) if is_like.has_rows else set()
    if is_like.has_budget:
        platform.budget_usd = ROOM_USD + sum(map(costs_of, jobs)) + COST_USD * len(rows)
    # As below an output folder: no other simulation is beside it.
    folder = folder / "nightly" / "batch"
    folder.mkdir(parents=True)
    sweeps = sim_sweeps(has_cap=is_like.has_budget) if is_like.has_rows else ()
    batch = replace(make_batch(sweeps=sweeps), created_at=EPOCH)
    create_ledger(folder / "ledger.sqlite", batch, jobs)

    async def batch_with_crashes() -> None:
        backup: Backup | None = None
        for _ in range(crashes):
            if is_like.restores and backup is None and chance.random() < 0.5:
                backup = Backup(folder / "ledger.sqlite")
            # Half of the processes die at a moment, the others between two steps.
            life = Life(chance.randrange(1, MOST_STEPS) if chance.random() < 0.5 else None)
            with anyio.move_on_after(chance.uniform(1, 120)) as scope:
                try:
                    await process(folder, platform, chance, life, sizes=sizes)
                except* Killed:
                    life.is_over = True
            _check_files(folder, platform, jobs)
            if not scope.cancelled_caught and not life.is_over:
                return
            await anyio.sleep(chance.uniform(0, 40))
            if backup is not None and chance.random() < 0.6:
                await anyio.sleep(LATEST_SECS)
                backup.restore()
                backup = None
        await process(folder, platform, chance, Life(), sizes=sizes)
        platform.hold(anyio.current_time() < LONGEST_SECS, "no wait is too long")

    run_virtual(batch_with_crashes)
    platform.check_limits()
    assert not platform.violations, platform.violations
    with LedgerReader(folder / "ledger.sqlite") as reader:
        reports = list(reader.reports())
    for job, report in zip(jobs, reports[:JOBS], strict=True):
        check_job(folder, platform, job, report)
    check_rows(folder, platform, rows, reports[JOBS:])
    return platform


class Backup:
    """A copy of a ledger, as a backup of the folder has it."""

    def __init__(self, path: Path) -> None:
        self._files = {
            file: file.read_bytes()
            for file in (path, path.with_name(f"{path.name}-wal"))
            if file.exists()
        }
        self._path = path

    def restore(self) -> None:
        """Replaces the ledger by the copy."""
        for end in ("", "-wal", "-shm"):
            self._path.with_name(f"{self._path.name}{end}").unlink(missing_ok=True)
        for file, data in self._files.items():
            file.write_bytes(data)


@cache
def usual_settings() -> Settings:
    """Those of every simulated process."""
    return Settings()


def costs_of(job: Job) -> float:
    """The final cost of all runs of a job."""
    given = json.loads(job.input.body) if job.input.body else OF_A_TASK
    if "refuse" in given:
        return 0.0
    lives = min(len(given["outcomes"]), job.retries) + 1
    return float(lives * given.get("cost", 0.2))


def _check_files(folder: Path, platform: SimPlatform, jobs: list[Job]) -> None:
    """When a process ends, all files with a final name are whole."""
    whole = {(run.job, run.items) for run in platform.runs.values()}
    for job in jobs:
        home = f"{folder}/jobs/{job.key}"
        # Most do not exist yet, and this looks at all of them often.
        if os.path.exists(f"{home}/items.jsonl"):  # noqa: PTH110
            count = len(Path(home, "items.jsonl").read_bytes().splitlines())
            platform.hold((job.seq, count) in whole, f"whole under a final name: {home}")


def check_job(folder: Path, platform: SimPlatform, job: Job, report: JobReport) -> None:
    """The job is settled as its runs ended, with one run for each attempt and all data once."""
    given = json.loads(job.input.body) if job.input.body else OF_A_TASK
    if "refuse" in given:
        _check_refused(platform, job, report)
        return
    outcomes = [*given["outcomes"], "SUCCEEDED"][: job.retries + 1]
    runs = [run for run in platform.runs.values() if run.job == job.seq]
    lives = [life for run in runs for life in run.lives]
    assert len(lives) == len(outcomes), f"each attempt has a run: {job.key} has {len(lives)}"
    assert len(runs) == 1 or not job.rules, (
        f"a resurrection starts no run: {job.key} has {len(runs)}"
    )
    assert report.status == JobStatus(outcomes[-1]), f"each job settled: {job.key} {report}"
    assert report.attempts == len(outcomes), f"each job settled: {job.key} {report}"
    assert report.run_id == runs[-1].id, f"each job settled: {job.key} has not its last run"
    home = folder / "jobs" / job.key
    lines = [orjson.loads(line)["i"] for line in (home / "items.jsonl").read_bytes().splitlines()]
    assert lines == list(range(runs[-1].items)), f"each item on disk once: {job.key} has {lines}"
    assert report.items == len(lines), f"each item counted: {job.key} {report}"
    proof = report.proof
    assert proof is not None, f"each job proven complete: {job.key} {report.unproven}"
    assert proof.stored == runs[-1].items, f"what was proven is so: {job.key} {proof}"
    if job.collect.output:
        output = json.loads((home / "output.json").read_bytes())
        assert output == {"of": runs[-1].id}, f"each output on disk: {job.key} has {output}"
    left = [path.name for path in home.iterdir() if path.name.startswith(".")]
    assert not left, f"nothing half written is left: {job.key} has {left}"


def _check_refused(platform: SimPlatform, job: Job, report: JobReport) -> None:
    """A job whose start is refused has failed with the platform's message, and has no run."""
    assert report.status is JobStatus.FAILED, f"refused: {job.key} {report}"
    assert "No." in (report.error or ""), f"refused with words: {job.key} {report}"
    runs = [run.id for run in platform.runs.values() if run.job == job.seq]
    assert not runs, f"refused, and yet started: {job.key} has {runs}"


def _refused(chance: random.Random) -> dict[str, Any]:
    """The fields of a job whose start is refused: alone, or with all jobs of its Actor."""
    whom = chance.choice(["job", "actor"])
    name = "me/refused" if whom == "actor" else "me/actor"
    return {
        "target": Target(kind=TargetKind.ACTOR, id=name),
        "refuse": chance.choice(_refusals_of(whom)),
    }


@cache
def _refusals_of(whom: str) -> Sequence[tuple[int, str]]:
    return [
        (status, kind)
        for status in (400, 403, 404, 409)
        for kind in (*documented_types(), "not-known-yet")
        if concern(status, kind) == whom
    ]


def random_job(seq: int, chance: random.Random, is_like: Conditions) -> Job:
    """A job with its own input, or of a task without one."""
    is_sync = chance.random() < 0.25
    has_output = is_sync and chance.random() < 0.6
    is_in_shop = chance.random() < 0.2
    memory = chance.choice([512, 1024, 2048])
    longest = 500 if is_sync and chance.random() < 0.1 else 0
    given = {
        "job": seq,
        "secs": round(longest or chance.lognormvariate(2.0, 1.0), 2),
        "items": chance.choice([0, 1, 7, 300]),
        "outcomes": chance.choice([[], [], [], ["FAILED"], ["TIMED-OUT", "FAILED"]]),
        "memory": memory,
        "shop": is_in_shop,
        "cost": chance.choice([0.0, 0.2, 0.6]),
    }
    cap = Decimal(1) if is_like.has_budget else None
    fields = {
        "input": JobInput(body=json.dumps(given).encode()),
        "options": RunOptions(memory_mbytes=memory, max_total_charge_usd=cap),
        "pools": ("shop",) if is_in_shop else (),
    }
    if chance.random() < 0.1:
        other = _refused(chance)
        given["refuse"] = other["refuse"]
        fields |= {"input": JobInput(body=json.dumps(given).encode()), "target": other["target"]}
    elif chance.random() < 0.2 and is_like.has_tasks:
        options = RunOptions(memory_mbytes=1024, max_total_charge_usd=cap)
        fields = {"target": TASK, "options": options, "input": JobInput()}
    resurrects = chance.random() < 0.3 and is_like.has_resurrections
    return make_job(
        seq,
        mode=Mode.SYNC if is_sync else Mode.ASYNC,
        collect=CollectPlan(output=has_output),
        retries=chance.choice([1, 3]),
        rules=(Rule(do=Action.RESURRECT),) if resurrects else (),
        **fields,
    )


async def process(
    folder: Path,
    platform: SimPlatform,
    chance: random.Random,
    life: Life,
    *,
    pools: Mapping[str, PoolLimits] | None = None,
    sizes: TransferSizes = SMALL,
) -> None:
    """One process of the orchestrator, from the takeover of the ledger to the end of the batch."""
    options = ClientOptions(base_url="https://sim.example", token=SecretStr("x" * 20))
    allowed, is_like = platform.allowed, platform.conditions
    wall_clock = is_like.wall_clock
    limits = Limits(
        max_runs=allowed.runs,
        max_memory_mbytes=allowed.memory_mbytes,
        pools=pools or is_like.pools,
        max_cost_usd=Decimal(str(round(platform.budget_usd, 6))) if is_like.has_budget else None,
    )
    room = replace(ANY_ROOM, prices=NO_PRICES if is_like.has_budget else None)
    transport = MortalTransport(platform, life)
    with (
        closing(connect(folder / "ledger.sqlite")) as db,
        LedgerReader(folder / "ledger.sqlite") as reader,
    ):
        platform.is_recorded = partial(_is_recorded, db)
        # These tests check the order of events, not SQLite.
        db.execute("PRAGMA synchronous = OFF")
        ledger = Ledger(db, InlineWorker(life.around(partial(commit_group, db))))
        async with ApifyClient(options, transport=transport, rng=chance) as client:
            batch = OpenBatch(
                ledger=ledger,
                reader=reader,
                client=client,
                files=Files(InlineWorker(life.around(flush_group))),
                sent=SentRequests(client, ledger),
                folder=folder,
            )
            given = SchedulerOptions(
                settings=usual_settings(),
                room=room,
                utc_now=wall_clock,
                chance=chance.random,
                sizes=sizes,
            )
            silent = Silent()
            finder = make_finder(batch, given, silent)  # type: ignore[arg-type] # it has every method there is
            await take_over(batch, given, finder)
            attempts = await ledger.take_over()
            usage = usage_now(
                reader,
                limits,
                room,
                settle_secs=SETTLE_SECS,
                client=client,
                utc_now=wall_clock,
            )
            places = queued_jobs(reader.waiting(), room, platform_now=client.platform_now())
            scheduler = make_scheduler(
                batch,
                Backlog(queue=queue_of(places), usage=usage),
                given,
                finder=finder,
                observer=silent,  # type: ignore[arg-type] # it has every method there is
            )
            await scheduler.run((attempt, queued_attempt(attempt, room)) for attempt in attempts)


def _is_recorded(db: sqlite3.Connection, run_id: str) -> bool:
    query = "SELECT COUNT(*) FROM attempts WHERE run_id = ?"
    return not db.in_transaction and db.execute(query, (run_id,)).fetchone()[0] >= 1
