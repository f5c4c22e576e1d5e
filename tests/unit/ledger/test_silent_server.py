"""A server of the ledger that is silent, and whose connections do not end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from orchestrator.errors import LedgerAway
from orchestrator.ledger import location
from orchestrator.ledger.postgres.deployment import connect
from tests.support.builders import NOON, make_job, make_ledger, reopen_ledger
from tests.support.captured_events import captured_events
from tests.support.partition import Partition, partition

SILENCE = "tcp_user_timeout=500&connect_timeout=2"
"""Half a second of it is noticed."""
BOUND_SECS = 30.0


@pytest.fixture
def network(postgres_schema: str) -> Iterator[Partition]:
    """Ledgers are in PostgreSQL, behind this network."""
    port = str(conninfo_to_dict(postgres_schema.partition("?")[0])["port"])
    with partition(int(port)) as made:
        url = postgres_schema.replace(f":{port}/", f":{made.port}/")
        location.configure(f"{url}&{SILENCE}", away_secs=1)
        yield made
        location.configure(None)


async def test_batch_does_not_wait_for_a_silent_server(tmp_path: Path, network: Partition) -> None:
    """A proxy keeps the connection and forwards nothing: the batch ends, and can be resumed."""
    ledger = make_ledger(tmp_path, make_job(), make_job(1))
    await ledger.record_intent(0, 1, NOON)
    network.stall()
    began = time.monotonic()
    with pytest.raises(LedgerAway, match="cannot be reached"):
        await ledger.record_intent(1, 1, NOON)
    assert time.monotonic() - began < BOUND_SECS
    network.cut()
    assert len(await reopen_ledger(tmp_path).take_over()) == 1


@pytest.mark.usefixtures("network")
def test_slow_server_is_waited_for() -> None:
    """As long as it answers others, a statement may take its time; the log says why."""
    address = location.configured_address()
    assert address is not None
    with captured_events() as events, closing(connect(address)) as connection:
        row = connection.execute("SELECT 7, pg_sleep(1.2)").fetchone()
    assert row is not None
    assert row[0] == 7
    assert "ledger_slow" in {event["event"] for event in events}
