from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator.ledger import location


@pytest.fixture(params=["sqlite", "postgres"])
def each_store(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs once with ledgers in files, and once with ledgers in PostgreSQL."""
    if request.param == "postgres":
        location.configure(request.getfixturevalue("postgres_schema"))
    yield request.param
    location.configure(None)
