from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.ledger import location
from tests.unit.ledger.controllers import Controllers


@pytest.fixture(params=["sqlite", "postgres"])
def each_store(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs once with ledgers in files, and once with ledgers in PostgreSQL."""
    if request.param == "postgres":
        location.configure(request.getfixturevalue("postgres_schema"))
    yield request.param
    location.configure(None)


@pytest.fixture
def controllers(tmp_path: Path, postgres_schema: str) -> Iterator[Controllers]:
    """Processes on a batch with six jobs."""
    location.configure(postgres_schema)
    made = Controllers(tmp_path, 6)
    yield made
    made.close()
    location.configure(None)
