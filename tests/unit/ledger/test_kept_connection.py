"""The connection of a session that has ended serves the next one, for a moment."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from orchestrator.ledger.location import Location
from orchestrator.ledger.postgres.address import Address, parse_address
from orchestrator.ledger.postgres.advisory_lock import AdvisoryLock, held_for
from orchestrator.ledger.postgres.deployment import Connection
from orchestrator.ledger.postgres.kept_connection import (
    brief_connection,
    connect_or_reuse,
    keep,
    reach,
)
from tests.support.command import wait_until


@pytest.fixture
def address(postgres_schema: str) -> Address:
    """The address of a deployment."""
    return parse_address(postgres_schema)


def process_of(connection: Connection) -> int:
    """The process of the server that serves a connection."""
    return connection.info.backend_pid


def test_sessions_that_follow_each_other_share_a_connection(address: Address) -> None:
    """A server starts one process for them."""
    reach(address)
    with brief_connection(address) as first, brief_connection(address) as second:
        processes = {process_of(first), process_of(second)}
    assert len(processes) == 2
    with brief_connection(address) as third:
        assert process_of(third) in processes


def test_session_leaves_no_setting_to_the_next(address: Address) -> None:
    """Neither the batch that it had chosen nor how long it waited for locks."""
    asked = "SELECT current_setting('orchestrator.batch', true), current_setting('lock_timeout')"
    with brief_connection(address) as before:
        (_, usual) = tuple(before.execute(asked).fetchone() or ())
        before.execute("SELECT set_config('orchestrator.batch', '7', false)")
        before.execute("SET lock_timeout = 99")
    with brief_connection(address) as after:
        assert process_of(after) == process_of(before)
        (batch, timeout) = tuple(after.execute(asked).fetchone() or ())
    assert (batch or "", timeout) == ("", usual)


def test_connection_that_has_ended_is_replaced(address: Address) -> None:
    """A server that was restarted meanwhile is no error."""
    reach(address)
    with brief_connection(address) as lost, brief_connection(address) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [process_of(lost)])
        other.close()
    with brief_connection(address) as found:
        assert found.execute("SELECT 1").fetchone() is not None


def test_connection_within_a_transaction_is_not_kept(address: Address) -> None:
    """What a session had not ended is undone."""
    connection = connect_or_reuse(address)
    connection.execute("BEGIN")
    keep(address, connection)
    assert connection.closed


def test_connection_is_kept_for_its_own_address_only(address: Address) -> None:
    """Another deployment has another search path."""
    other = Address(conninfo=address.conninfo, url=address.url, schema="another_one")
    reach(address)
    with brief_connection(other) as connection:
        row = connection.execute("SHOW search_path").fetchone()
    assert row is not None
    assert tuple(row) == ("another_one",)


def test_connection_is_closed_after_a_moment(address: Address) -> None:
    """A batch under way keeps none, and no thread of the program is left."""
    with brief_connection(address) as connection:
        pass
    assert not connection.closed
    wait_until(lambda: connection.closed, "the end of the connection", secs=30)
    wait_until(
        lambda: not any(isinstance(one, threading.Timer) for one in threading.enumerate()),
        "the end of the timer",
        secs=30,
    )


def test_holder_is_known_while_another_of_its_sessions_locks_the_batch(
    tmp_path: Path, address: Address
) -> None:
    """A shard locks its batch within some transactions too, on a connection that may be older."""
    where = Location(folder=tmp_path, address=address, batch_id="20261127T120000Z-0000000")
    key = {"schema": address.schema, "id": where.batch_id}
    locked = "SELECT pg_try_advisory_xact_lock_shared(hashtext(%(schema)s), hashtext(%(id)s))"
    with brief_connection(address) as session, session.transaction():
        session.execute(locked, key)
        assert held_for(where) is None
        lock = AdvisoryLock(where, "run", is_shared=True)
        assert held_for(where) == "run"
        lock.release()
