from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.command import Command, ServedPlatform, served_platform

QUICK = {"ORCHESTRATOR_START_DEADLINE_SECS": "2", "ORCHESTRATOR_SETTLE_SECS": "2"}


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPlatform]:
    """An emulator for all tests of this process."""
    with served_platform(tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.fixture
def command(tmp_path: Path, platform: ServedPlatform) -> Command:
    """The command, connected to the platform."""
    return Command(folder=tmp_path, variables=platform.variables())


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Callable[..., tuple[Command, ServedPlatform]]]:
    """Makes a platform with faults, and a command that is connected to it and waits briefly."""
    with ExitStack() as stack:

        def make(*rules: dict, words: Sequence[str] = (), **faults: float) -> tuple:
            path = tmp_path / "faults.json"
            path.write_text(json.dumps({"rules": rules, **faults}))
            data = tmp_path / "platform"
            platform = stack.enter_context(served_platform(data, "--faults", str(path), *words))
            return Command(folder=tmp_path, variables={**platform.variables(), **QUICK}), platform

        yield make
