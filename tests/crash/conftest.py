from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from tests.support.command import DYING, Command, Done, ServedPlatform, served_platform

Die = Callable[[str, Command, Sequence[str], Sequence[str]], Done]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPlatform]:
    """An emulator that survives what is killed."""
    words = ("--sync-wait-secs", "1")
    with served_platform(tmp_path_factory.mktemp("platform"), *words) as platform:
        yield platform


@pytest.fixture
def die_at() -> Die:
    """Runs a command until it dies at a named point, then runs another; see `two_lives`."""

    def die(point: str, command: Command, first: Sequence[str], second: Sequence[str]) -> Done:
        twice = replace(command, program=DYING)
        return twice.run(point, json.dumps(first), json.dumps(second))

    return die
