"""Batches at the server whose makers were killed before they published them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import BatchNotFound
from orchestrator.ledger import Ledger, create_ledger, location
from orchestrator.ledger.amendments import set_number
from orchestrator.ledger.lock import BatchLock
from orchestrator.ledger.postgres.deployment import connect
from orchestrator.ledger.stores import connect as open_store
from orchestrator.ledger.stores import discard_abandoned
from tests.support.builders import NOON, make_batch, make_job, reopen_ledger


@pytest.fixture
def made(postgres_schema: str, tmp_path: Path) -> Iterator[Path]:
    """The folder of a batch that was made two days ago, and not published."""
    location.configure(postgres_schema)
    make(tmp_path / "old")
    execute("UPDATE all_batches SET made_at = now() - interval '2 days'")
    yield tmp_path / "old"
    location.configure(None)


def make(folder: Path) -> None:
    """Makes a batch."""
    folder.mkdir()
    create_ledger(folder / "ledger.sqlite", make_batch(id_=folder.name), [make_job()])


def execute(sql: str) -> list:
    """What a statement gives in the schema of the test."""
    address = location.configured_address()
    assert address is not None
    with closing(connect(address)) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def left_after_a_new_one(made: Path) -> list[str]:
    """The batches that are left when the next one of the name is made."""
    make(made.with_name("new"))
    discard_abandoned(made.with_name("new") / "ledger.sqlite", "nightly")
    return sorted(row["id"] for row in execute("SELECT id FROM all_batches"))


def test_abandoned_batch_is_removed_when_the_next_one_is_made(made: Path) -> None:
    """With its jobs; the new one is not published either, and stays."""
    assert left_after_a_new_one(made) == ["new"]
    assert len(execute("SELECT 1 FROM all_jobs")) == 1


def test_batch_whose_maker_lives_is_kept(made: Path) -> None:
    """It may wait for the platform for a long time; the server knows that it holds the batch."""
    with BatchLock(made, is_shared=True):
        assert left_after_a_new_one(made) == ["new", "old"]


def test_batch_that_was_published_is_kept(made: Path) -> None:
    """Its age does not matter then."""
    set_number(made / "ledger.sqlite", lambda: 1)
    assert left_after_a_new_one(made) == ["new", "old"]


async def test_batch_with_an_intent_is_kept(made: Path) -> None:
    """Whatever has happened to it: its run must be found."""
    ledger: Ledger = reopen_ledger(made)
    await ledger.record_intent(0, 1, NOON)
    assert left_after_a_new_one(made) == ["new", "old"]


def test_batch_of_another_name_is_kept(made: Path) -> None:
    """It is removed when the next one of that name is made."""
    execute("UPDATE all_batches SET name = 'other'")
    assert left_after_a_new_one(made) == ["new", "old"]


def test_maker_that_wakes_up_later_learns_that_its_batch_was_removed(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batch must not seem to be published."""
    db = open_store(made / "ledger.sqlite")
    left_after_a_new_one(made)
    monkeypatch.setattr("orchestrator.ledger.stores.connect", lambda _path: db)
    with pytest.raises(BatchNotFound, match="start the batch again"):
        set_number(made / "ledger.sqlite", lambda: 1)
