"""
One night: a batch from its first start to its end, on virtual time, with crashes on the way.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
from pydantic import SecretStr

from orchestrator.app.assembly import fill_queue, make_scheduler
from orchestrator.app.preflight import ANY_ROOM
from orchestrator.app.settings import Settings
from orchestrator.client import ApifyClient, ClientOptions
from orchestrator.collector import Files
from orchestrator.collector.files import flush_group
from orchestrator.ledger import Ledger, LedgerReader, create_ledger
from orchestrator.ledger.connection import connect
from orchestrator.ledger.ledger import commit_group
from orchestrator.model.jobs import Job, JobInput, demand_of
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.limits import Limits
from orchestrator.threads import InlineWorker
from tests.simulation.platform import SimPlatform, wall_clock
from tests.support.builders import make_batch, make_job
from tests.support.virtual_time import run_virtual

JOBS = 25
MAX_RUNS = 6


class Silent:
    """An observer that nobody listens to."""

    def __getattr__(self, name: str) -> object:
        return _nothing


def _nothing(*_told: object, **_more: object) -> None:
    """Takes anything."""


def play(
    seed: int, folder: Path, *, crashes: int = 3, platform: SimPlatform | None = None
) -> SimPlatform:
    """
    Plays a night and checks what must hold; every failure names the seed.
    """
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    platform = platform or SimPlatform(seed)
    jobs = [_job(seq, chance) for seq in range(JOBS)]
    create_ledger(folder / "ledger.sqlite", make_batch(), jobs)

    async def night() -> None:
        for _ in range(crashes):
            with anyio.move_on_after(chance.uniform(1, 120)) as life:
                await _process(folder, platform, chance)
            if not life.cancelled_caught:
                return
            await anyio.sleep(chance.uniform(0, 40))
        await _process(folder, platform, chance)

    run_virtual(night)
    check(seed, folder, platform, jobs)
    return platform


def check(seed: int, folder: Path, platform: SimPlatform, jobs: list[Job]) -> None:
    """
    One run per attempt, limits kept, every item on disk once, every job settled.
    """
    attempts = Counter(
        run.agent.rpartition("(attempt ")[2].rsplit(".", 1)[0] for run in platform.runs.values()
    )
    twice = {mark for mark, count in attempts.items() if count > 1}
    assert not twice, f"seed {seed}: started twice: {sorted(twice)}"
    assert platform.most_live <= MAX_RUNS, f"seed {seed}: {platform.most_live} runs at once"
    with LedgerReader(folder / "ledger.sqlite") as reader:
        reports = list(reader.reports())
    for job, report in zip(jobs, reports, strict=True):
        assert report.status is JobStatus.SUCCEEDED, f"seed {seed}: {job.key} {report}"
        assert report.run_id is not None
        run = platform.runs[report.run_id]
        lines = (folder / "jobs" / job.key / "items.jsonl").read_bytes().splitlines()
        assert [json.loads(line)["i"] for line in lines] == list(range(run.items)), f"seed {seed}"


def _job(seq: int, chance: random.Random) -> Job:

    given = {
        "secs": round(chance.lognormvariate(2.0, 1.0), 2),
        "items": chance.choice([0, 1, 7, 300]),
        "outcomes": [],
    }

    return make_job(seq, input=JobInput(body=json.dumps(given).encode()), retries=3)


async def _process(folder: Path, platform: SimPlatform, chance: random.Random) -> None:
    """
    One process of the orchestrator, from taking over the ledger to the end of the batch.
    """
    options = ClientOptions(base_url="https://sim.example", token=SecretStr("x" * 20))
    with closing(connect(folder / "ledger.sqlite")) as db:
        ledger = Ledger(db, InlineWorker(partial(commit_group, db)))
        async with ApifyClient(options, transport=platform, rng=chance) as client:
            attempts = await ledger.take_over()
            scheduler = make_scheduler(
                ledger=ledger,
                client=client,
                files=Files(InlineWorker(flush_group)),
                folder=folder,
                settings=Settings(),
                queue=fill_queue(await ledger.waiting(), ANY_ROOM, utc_now=wall_clock),
                limits=Limits(max_runs=MAX_RUNS),
                observer=Silent(),  # type: ignore[arg-type] # it has every method there is
                claimed=await ledger.runs(),
                given_up=await ledger.given_up(),
                utc_now=wall_clock,
                chance=chance.random,
            )
            await scheduler.run(
                (attempt, ANY_ROOM.claim_of(demand_of(attempt.job))) for attempt in attempts
            )
