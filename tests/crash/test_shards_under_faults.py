"""A batch on several machines with all faults at once; the platform counts what was started."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.crash.fault_plan import Kind, Size, make_plan
from tests.crash.faulty_batch import NAIVE, check, play
from tests.support.clock import find_library
from tests.support.postgres_server import PostgresServer

SMALL = Size(
    machines=3,
    jobs=40,
    times=dict.fromkeys(Kind, 1),
    max_runs=6,
    starts_per_minute=60,
    duration_secs=0.4,
    start_deadline_secs=1.0,
    settle_secs=1.0,
)
LARGE = Size(
    machines=8,
    jobs=2000,
    times={
        Kind.KILL: 10,
        Kind.STOP: 6,
        Kind.NAP: 4,
        Kind.CUT: 6,
        Kind.STALL: 4,
        Kind.RESTART: 4,
        Kind.JUMP: 6,
    },
    max_runs=24,
    starts_per_minute=40,
    duration_secs=0.8,
    start_deadline_secs=2.0,
    settle_secs=2.0,
)
IS_SOAK = bool(os.environ.get("ORCHESTRATOR_SOAK"))
ONE = os.environ.get("ORCHESTRATOR_SEED")
SEEDS = [int(ONE)] if ONE else list(range(3 if IS_SOAK else 1))
soak = pytest.mark.skipif(not IS_SOAK, reason="ORCHESTRATOR_SOAK is not set")


@pytest.mark.parametrize("seed", SEEDS)
def test_all_faults_start_nothing_twice_and_lose_nothing(
    tmp_path: Path, server: PostgresServer, seed: int
) -> None:
    """Each attempt has one run, no limit is passed, the budget is exact, and all end with 0."""
    plan = make_plan(seed, LARGE if IS_SOAK else SMALL, sets_clocks=find_library() is not None)
    played = play(plan, tmp_path, server)
    print(json.dumps(played.figures()))  # noqa: T201 - shown with -rP
    check(played)


@soak
def test_all_faults_find_the_naive_protocol(tmp_path: Path, server: PostgresServer) -> None:
    """A start that is sent again after one look is counted twice at the platform."""
    played = play(make_plan(0, SMALL, sets_clocks=False), tmp_path, server, program=NAIVE)
    print(json.dumps(played.figures()))  # noqa: T201 - shown with -rP
    with pytest.raises(AssertionError, match=r'"twice": [1-9]'):
        check(played)
