"""
The plugin for pytest: the fixture `apify_emulator`.

One emulator serves a whole session; each test begins with an empty account. This module imports
nothing heavy, because pytest loads it in every session.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from apify_emulator.testing.handle import EmulatorHandle


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the setting for folders of Actors."""
    parser.addini(
        "apify_emulator_actors",
        "folders of Actors and stand-ins for the fixture apify_emulator",
        type="paths",
        default=[],
    )


@pytest.fixture(scope="session")
def apify_emulator_of_session(pytestconfig: pytest.Config) -> Iterator[EmulatorHandle]:
    """The emulator of the whole session, which keeps its content between tests."""
    from apify_emulator.testing.background import running_emulator

    folders: list[Path] = pytestconfig.getini("apify_emulator_actors")
    with running_emulator(actors_dirs=tuple(folders)) as emulator:
        yield emulator


@pytest.fixture
def apify_emulator(
    apify_emulator_of_session: EmulatorHandle, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EmulatorHandle]:
    """An empty emulator; Apify's SDKs and tools use it during the test by their variables."""
    for name, value in apify_emulator_of_session.variables.items():
        monkeypatch.setenv(name, value)
    yield apify_emulator_of_session
    apify_emulator_of_session.reset()
