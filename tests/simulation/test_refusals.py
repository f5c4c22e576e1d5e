"""
Every documented refusal of a start, and unknown ones, through the real scheduler and client.

Each refusal has its own Actor with three jobs; one batch plays them all. A refusal that concerns
every job ends its batch, so it has a batch of its own.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator.apify import Request
from orchestrator.errors import NotAuthorized, OrchestratorError, PlanExhausted
from orchestrator.ledger import LedgerReader, create_ledger
from orchestrator.ledger.records import JobReport
from orchestrator.model.batches import PoolLimits
from orchestrator.model.ids import JobKey
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
from tests.simulation.conditions import EPOCH
from tests.simulation.mortal_process import Life
from tests.simulation.platform import SimPlatform
from tests.simulation.simulated_batch import process
from tests.simulation.simulated_run import Allowed
from tests.support.builders import make_batch, make_job
from tests.support.refusal_types import (
    ACTOR,
    CONFLICT,
    JOB,
    LATER,
    MISSING,
    PLAN,
    ROOM,
    TOKEN,
    UNCLEAR,
    Concern,
    concern,
    documented_types,
)
from tests.support.scripted_transport import Reply, refused
from tests.support.virtual_time import run_virtual

JOBS = 3
ACTORS = 40
STATUSES = (400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 418, 422, 423, 429)
WAYS = ("start", "sync", "resurrect")
TRANSIENT = ("room", "later", "unclear", "conflict")


@dataclass(frozen=True)
class Refusal:
    """One row of the table."""

    status: int
    kind: str
    way: str

    @property
    def concerns(self) -> Concern:
        """Whom it concerns, by the tests' own table."""
        return concern(self.status, self.kind, resurrects=self.way == "resurrect")


KNOWN = f"{ROOM} {LATER} {CONFLICT} {UNCLEAR} {TOKEN} {PLAN} {ACTOR} {MISSING} {JOB}".split()
ROWS = [
    Refusal(status, kind, way)
    for way in WAYS
    for status, kind in (
        *((400, kind) for kind in documented_types()),
        *((403, kind) for kind in KNOWN),
        *((status, "not-known-yet") for status in STATUSES),
    )
]


@dataclass
class RefusingPlatform(SimPlatform):
    """
    Refuses the starts of some Actors: always, or each job's first one where waiting helps.

    Attributes:
        refusals: by the number of the Actor, which is in its name.
        sent: how many starts with a refusal were sent.
    """

    trouble: float = 0.0
    allowed: Allowed = field(default_factory=lambda: Allowed(runs=60, memory_mbytes=10**9))
    refusals: dict[int, Refusal] = field(default_factory=dict)
    sent: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._others = []
        self._met: set[tuple[int, str]] = set()

    async def answer(self, request: Request) -> Reply:
        """Answers with a refusal, or without a fault."""
        refusal = self._refusal_of(request)
        if refusal is not None:
            return refused(refusal.status, refusal.kind, "No, since 7.")
        return await super().answer(request)

    def _refusal_of(self, request: Request) -> Refusal | None:
        path = urlsplit(request.url).path.split("/")[2:]
        _, is_start, text = request.headers["User-Agent"].partition("(attempt ")
        if not is_start:
            return None
        mark = text.split(".")
        actor = int(mark[1], 36) // JOBS
        refusal = self.refusals.get(actor)
        if refusal is None or (refusal.way == "resurrect") != (path[-1] == "resurrect"):
            return None
        self.sent[actor] += 1
        if refusal.concerns in TRANSIENT and (actor, mark[1]) in self._met:
            return None
        self._met.add((actor, mark[1]))
        return refusal


def jobs_of(actor: int, way: str) -> Iterator[Job]:
    """The jobs of one Actor, which start one after the other."""
    for number in range(JOBS):
        seq = actor * JOBS + number
        outcomes = ["FAILED"] if way == "resurrect" else []
        given = {"job": seq, "secs": 1.0, "items": 1, "outcomes": outcomes, "memory": 128}
        yield make_job(
            seq,
            key=JobKey(f"job-{actor}-{number}"),
            target=Target(kind=TargetKind.ACTOR, id=f"me/actor{actor}"),
            input=JobInput(body=json.dumps(given).encode()),
            options=RunOptions(memory_mbytes=128),
            mode=Mode.SYNC if way == "sync" else Mode.ASYNC,
            collect=CollectPlan(output=way == "sync"),
            rules=(Rule(do=Action.RESURRECT),) if way == "resurrect" else (),
            retries=1 if way == "resurrect" else 0,
            pools=(f"actor{actor}",),
        )


def play(folder: Path, rows: Sequence[Refusal], *, bystanders: int = 0) -> RefusingPlatform:
    """
    Plays one batch of an Actor for each refusal, and further Actors without refusals.

    Raises:
        OrchestratorError: the batch has stopped early.
    """
    platform = RefusingPlatform(7, refusals=dict(enumerate(rows)))
    ways = [row.way for row in rows] + ["start"] * bystanders
    jobs = [job for actor, way in enumerate(ways) for job in jobs_of(actor, way)]
    create_ledger(folder / "ledger.sqlite", replace(make_batch(), created_at=EPOCH), jobs)
    pools = {f"actor{actor}": PoolLimits(max_runs=1) for actor in range(len(ways))}
    chance = random.Random(7)  # noqa: S311 - to be repeatable

    async def batch() -> None:
        await process(folder, platform, chance, Life(), pools=pools)

    run_virtual(batch)
    return platform


def reports_of(folder: Path) -> list[JobReport]:
    with LedgerReader(folder / "ledger.sqlite") as reader:
        return list(reader.reports())


def outcomes_of(
    platform: RefusingPlatform, reports: Sequence[JobReport], actor: int
) -> tuple[object, ...]:
    """The outcomes of the jobs of an Actor, and how many starts were sent for them."""
    mine = reports[actor * JOBS : (actor + 1) * JOBS]
    statuses = {report.status for report in mine}
    runs = [run for run in platform.runs.values() if run.job // JOBS == actor]
    words = all("No, since 7." in (report.error or "No, since 7.") for report in mine)
    return statuses, platform.sent[actor], len(runs), words


@pytest.mark.parametrize("way", WAYS)
def test_refusals_affect_what_they_concern(tmp_path: Path, way: str) -> None:
    """Each refusal affects only what it concerns: a job, an Actor or a moment."""
    rows = [row for row in ROWS if row.way == way and row.concerns not in {"plan", "token"}]
    for number, at in enumerate(range(0, len(rows), ACTORS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        some = rows[at : at + ACTORS]
        platform = play(folder, some, bystanders=2)
        assert not platform.violations
        check(platform, reports_of(folder), some)


def check(platform: RefusingPlatform, reports: Sequence[JobReport], rows: list[Refusal]) -> None:
    """Compares the outcomes of each Actor's jobs with the expected effect of its refusal."""
    for actor, row in enumerate(rows):
        first = JOBS if row.way == "resurrect" else 0
        expected: dict[Concern, tuple[object, ...]] = {
            "job": ({JobStatus.FAILED}, JOBS, first, True),
            "actor": ({JobStatus.FAILED}, 2, first, True),
            "room": ({JobStatus.SUCCEEDED}, 2 * JOBS, JOBS, True),
            "later": ({JobStatus.SUCCEEDED}, 2 * JOBS, JOBS, True),
            "unclear": ({JobStatus.SUCCEEDED}, 2 * JOBS, JOBS, True),
            "conflict": ({JobStatus.SUCCEEDED}, 2 * JOBS, JOBS, True),
        }
        assert outcomes_of(platform, reports, actor) == expected[row.concerns], row
    for actor in range(len(rows), len(rows) + 2):
        assert outcomes_of(platform, reports, actor) == ({JobStatus.SUCCEEDED}, 0, JOBS, True)


@pytest.mark.parametrize("way", WAYS)
def test_refusals_of_plan_and_token_stop_the_batch(tmp_path: Path, way: str) -> None:
    """A refusal that concerns every job fails none: the batch stops with 3 or 5."""
    rows = [row for row in ROWS if row.way == way and row.concerns in {"plan", "token"}]
    assert len(rows) > 60
    for number, row in enumerate(rows):
        folder = tmp_path / str(number)
        folder.mkdir()
        expected = PlanExhausted if row.concerns == "plan" else NotAuthorized
        with pytest.raises(OrchestratorError) as caught:
            play(folder, [row])
        assert type(caught.value) is expected, row
        assert "No, since 7." in str(caught.value)
        statuses = {report.status for report in reports_of(folder)}
        assert JobStatus.FAILED not in statuses, row
