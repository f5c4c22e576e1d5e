from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.tracebacks import take_tracebacks


@pytest.fixture(autouse=True)
def _no_traceback_is_left() -> Iterator[None]:
    """Fails a test in which a command met a bug of ours, even where it expects a failure."""
    yield
    found = take_tracebacks()
    assert not found, "a command ended with a bug of ours:\n" + "\n".join(found)
