"""Processes that are paused within a transaction: the server waits for its rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import psycopg
import pytest

from orchestrator.ledger import location
from orchestrator.ledger.postgres.connection_rows import statement
from orchestrator.ledger.postgres.deployment import connect
from orchestrator.model.attempts import Attempt
from tests.support.builders import make_batch
from tests.unit.ledger.controllers import SHORT, Controllers, intend

MOMENT_SECS = 0.2


@pytest.fixture
def controllers(postgres_schema: str, tmp_path: Path) -> Iterator[Controllers]:
    """Processes that share a batch of two jobs."""
    location.configure(postgres_schema)
    made = Controllers(tmp_path, 2)
    yield made
    made.close()
    location.configure(None)


@pytest.fixture(params=[True, False], ids=["sending", "sent"])
def is_sending(request: pytest.FixtureRequest) -> bool:
    """Whether the process is paused before the end of a message, or after it."""
    return bool(request.param)


@contextmanager
def paused_after(name: str, *, is_sending: bool, **values: object) -> Iterator[None]:
    """A process that has sent the beginning of a transaction and this statement, and is paused."""
    address = location.configured_address()
    assert address is not None
    connection = connect(address)
    connection.execute(statement("choose_batch"), {"id": make_batch().id})
    pipeline = connection.pipeline()
    pipeline.__enter__()
    connection.execute(statement("begin"))
    connection.execute(statement(name), values)
    if not is_sending:
        pipeline.__exit__(None, None, None)
    try:
        yield
    finally:
        # The server has ended the session, or ends it now.
        connection.close()


async def test_attempts_of_a_process_that_is_paused_within_a_transaction_are_taken(
    controllers: Controllers, is_sending: bool
) -> None:
    """Its own row is locked; the others end its session when its lease has expired."""
    paused = await controllers.join(SHORT)
    assert isinstance(await intend(paused, 0), Attempt)
    other = await controllers.join(paused_secs=MOMENT_SECS)
    values = {"owner": paused.owner, "commits": 9, "lease_secs": SHORT}
    with paused_after("note_commit", is_sending=is_sending, **values), anyio.fail_after(10):
        while not (stolen := await other.steal()):  # noqa: ASYNC110 - the server ends a session
            await anyio.sleep(MOMENT_SECS / 4)
    assert [attempt.job.seq for attempt in stolen] == [0]


async def test_turn_to_claim_of_a_paused_process_ends(
    controllers: Controllers, is_sending: bool
) -> None:
    """Those who wait for it end its session, and claim."""
    ledger = await controllers.join(paused_secs=MOMENT_SECS)
    with paused_after("await_turn", is_sending=is_sending), anyio.fail_after(10):
        assert isinstance(await intend(ledger, 0), Attempt)


async def test_session_that_works_is_not_ended(controllers: Controllers) -> None:
    """A short transaction of a process whose lease has expired may still be committed."""
    slow = await controllers.join(SHORT)
    other = await controllers.join()
    address = location.configured_address()
    assert address is not None
    with connect(address) as connection, connection.transaction():
        connection.execute(statement("choose_batch"), {"id": make_batch().id})
        values = {"owner": slow.owner, "commits": 9, "lease_secs": SHORT}
        connection.execute(statement("note_commit"), values)
        assert await other.steal() == []
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
