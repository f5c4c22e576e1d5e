"""Seeded simulations of several processes that share one batch, on virtual time."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.ledger import location
from orchestrator.ledger.postgres.deployment import connect, migrate
from tests.simulation.several_controllers import history, play_shared
from tests.simulation.shared_ledger import virtual_clock
from tests.simulation.test_simulated_batches import ONE, SEEDS

SOAK = bool(os.environ.get("ORCHESTRATOR_SOAK"))
STOPPED = (
    SEEDS if ONE else [range(first, first + 10) for first in range(0, 600 if SOAK else 20, 10)]
)
SEEDS_ON_SERVER = 60 if SOAK else 4


def play_each(
    seeds: range, home: Path, monkeypatch: pytest.MonkeyPatch, *, is_stopped: bool = False
) -> None:
    """Plays the night of each seed in a folder of its own; an error names the seed."""
    for seed in seeds:
        folder = home / str(seed)
        folder.mkdir()
        try:
            play_shared(seed, folder, monkeypatch, is_stopped=is_stopped)
        except BaseException as error:
            error.add_note(f"repeat: ORCHESTRATOR_SEED={seed} python -m pytest {Path(__file__)}")
            raise


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"from-{seeds.start}")
def test_shared_nights_start_nothing_twice_and_lose_nothing(
    tmp_path: Path, seeds: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes die, sleep, lose the server and join late: nothing is started twice or lost."""
    play_each(seeds, tmp_path, monkeypatch)


@pytest.mark.parametrize("seeds", STOPPED, ids=lambda seeds: f"from-{seeds.start}")
def test_stopped_nights_stay_stopped(
    tmp_path: Path, seeds: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody aborts the batch: whoever sleeps, dies or joins late, nothing is started after."""
    play_each(seeds, tmp_path, monkeypatch, is_stopped=True)


@pytest.fixture
def on_virtual_time(postgres_url: str) -> Iterator[None]:
    """Ledgers are in a schema of a real server, whose clock is the virtual one."""
    name = f"night_{secrets.token_hex(6)}"
    mark = "&" if "?" in postgres_url else "?"
    location.configure(f"{postgres_url}{mark}schema={name}")
    address = location.configured_address()
    assert address is not None
    with closing(connect(address)) as connection:
        migrate(connection, address)
        for statement in virtual_clock(name):
            connection.execute(statement.encode())
        yield
        connection.execute(f"DROP SCHEMA {name} CASCADE".encode())
    location.configure(None)


@pytest.mark.parametrize("seed", range(SEEDS_ON_SERVER))
def test_shared_nights_are_the_same_on_a_real_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_virtual_time: None, seed: int
) -> None:
    """The platform sees the same runs at the same times: the ledger in memory is a faithful one."""
    there = play_shared(seed, tmp_path / "server", monkeypatch, on_server=True)
    here = play_shared(seed, tmp_path / "memory", monkeypatch)
    assert history(there) == history(here)
