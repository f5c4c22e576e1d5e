from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Command, ServedPlatform, served_platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPlatform]:
    """A local platform for all tests of this process."""
    with served_platform(tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.fixture
def command(tmp_path: Path, platform: ServedPlatform) -> Command:
    """The command, pointed to the platform."""
    return Command(folder=tmp_path, variables=platform.variables())
