from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator.ledger import location
from tests.support.postgres_server import _schema_of_process, postgres_schema, postgres_url

__all__ = ["_schema_of_process", "postgres_schema", "postgres_url"]


@pytest.fixture(params=["sqlite", "postgres"])
def each_store(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs once with ledgers in files, and once with ledgers in PostgreSQL."""
    if request.param == "postgres":
        location.configure(request.getfixturevalue("postgres_schema"))
    yield request.param
    location.configure(None)
