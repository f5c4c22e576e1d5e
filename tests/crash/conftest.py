from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.command import ServedPlatform, served_platform


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPlatform]:
    """A local platform that outlives what is killed."""
    words = ("--sync-wait-secs", "1")
    with served_platform(tmp_path_factory.mktemp("platform"), *words) as platform:
        yield platform
