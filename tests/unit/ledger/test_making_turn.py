"""The turn to make a batch that several processes will share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.ledger import create_ledger, location
from orchestrator.ledger.amendments import set_number
from orchestrator.ledger.postgres.address import Address
from orchestrator.ledger.postgres.making_turn import MakingTurn
from tests.support.builders import make_batch, make_job

SERVES = "0123456789ab 2026-07-01 00:00:00+00:00"


@pytest.fixture
def address(postgres_schema: str) -> Iterator[Address]:
    """The schema of the test, in which nothing is made yet."""
    location.configure(postgres_schema)
    configured = location.configured_address()
    assert configured is not None
    yield configured
    location.configure(None)


def test_second_maker_waits_for_the_first(address: Address) -> None:
    """And makes the batch itself when the first one dies before that."""
    with MakingTurn(address, SERVES) as second:
        with MakingTurn(address, SERVES) as first:
            assert first.is_over()
            assert not second.is_over()
        assert second.is_over()


def test_makers_of_other_batches_do_not_wait(address: Address) -> None:
    """Each batch has a turn of its own."""
    with MakingTurn(address, SERVES) as one, MakingTurn(address, f"{SERVES}, another") as another:
        assert one.is_over()
        assert another.is_over()


def test_batch_that_is_published_is_not_waited_for(address: Address, tmp_path: Path) -> None:
    """Though its maker, which works on it now, still has the turn."""
    with MakingTurn(address, SERVES) as first, MakingTurn(address, SERVES) as second:
        assert first.is_over()
        create_ledger(tmp_path / "ledger.sqlite", make_batch(), [make_job()])
        assert not second.is_over()
        set_number(tmp_path / "ledger.sqlite", lambda: 1, SERVES)
        assert second.is_over()
