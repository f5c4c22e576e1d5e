"""Which process other commands name as the holder of a batch at a server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from orchestrator.ledger.location import Location
from orchestrator.ledger.postgres.address import parse_address
from orchestrator.ledger.postgres.advisory_lock import AdvisoryLock, held_for
from orchestrator.ledger.postgres.deployment import connect


def test_holder_is_known_while_another_of_its_sessions_locks_the_batch(
    tmp_path: Path, postgres_schema: str
) -> None:
    """A shard locks its batch within some transactions too, on a connection that may be older."""
    address = parse_address(postgres_schema)
    where = Location(folder=tmp_path, address=address, batch_id="20261127T120000Z-0000000")
    key = {"schema": address.schema, "id": where.batch_id}
    locked = "SELECT pg_try_advisory_xact_lock_shared(hashtext(%(schema)s), hashtext(%(id)s))"
    with closing(connect(address)) as session, session.transaction():
        session.execute(locked, key)
        assert held_for(where) is None
        lock = AdvisoryLock(where, "run", is_shared=True)
        assert held_for(where) == "run"
        lock.release()
