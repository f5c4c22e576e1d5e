"""The order of the tests: for several workers, each begins with its share of the long ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import pytest

SECS = {"simulation": 1.0, "e2e": 0.6, "crash": 0.6, "test_examples.py": 1.0, "emulator": 0.15}
"""How long a test takes about, by its folder or file in `tests/`; all others are short."""

PIECE = 10
"""So many tests of a file stay together, because they share what their file has started."""


def spread(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """
    The tests in an order in which as many parts of equal length take about as long.

    At first, each worker gets such a part (`--dist worksteal`). A worker that has no test left
    takes some of the last ones of another worker: those are short.
    """
    short = [item for item in items if _secs_of(item) == 0]
    parts: list[list[pytest.Item]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    for piece in sorted(_pieces(items), key=_weight, reverse=True):
        least = loads.index(min(loads))
        parts[least] += piece
        loads[least] += _weight(piece)
    left = len(items)
    for number, part in enumerate(parts):
        # Half of the workers begin with simulations, which never wait; the others end with them.
        part.sort(key=_secs_of, reverse=number % 2 == 0)
        # As many as xdist gives to this worker.
        room = max(0, left // (workers - number) - len(part))
        part += short[:room]
        del short[:room]
        left -= len(part)
    return [item for part in parts for item in part] + short


def _pieces(items: Sequence[pytest.Item]) -> list[list[pytest.Item]]:
    """The long tests in groups of one file each."""
    pieces = []
    for _, group in groupby(filter(_secs_of, items), key=lambda item: item.path):
        tests = list(group)
        pieces += [tests[start : start + PIECE] for start in range(0, len(tests), PIECE)]
    return pieces


def _weight(piece: Sequence[pytest.Item]) -> float:
    return sum(map(_secs_of, piece))


def _secs_of(item: pytest.Item) -> float:
    return next((SECS[part] for part in item.path.parts if part in SECS), 0.0)
