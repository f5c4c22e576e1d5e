"""The order of the tests: for several workers, each begins with its share of the long ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby

import pytest

SIMULATION = "simulation"
SECS = {
    SIMULATION: 1.0,
    "e2e": 0.6,
    "crash": 0.6,
    "emulator": 0.15,
    "test_acknowledged_writes.py": 3,
    "test_any_values.py": 1,
    "test_clock_set.py": 4,
    "test_clocks_of_shards.py": 11,
    "test_closing_process.py": 11,
    "test_complete_results.py": 4,
    "test_dask.py": 5,
    "test_examples.py": 1,
    "e2e/test_faults.py": 2.5,
    "test_fuzz_answers.py": 3,
    "test_hostile_requests.py": 2.5,
    "test_impossible_items.py": 15,
    "test_installed.py": 5,
    "test_kills.py": 6,
    "test_kubernetes.py": 2,
    "test_large.py": 3,
    "test_large_items.py": 6,
    "test_live_items.py": 3,
    "test_notifications.py": 1.5,
    "test_occurrences.py": 6,
    "test_other_machine.py": 9,
    "test_pages_in_chromium.py": 2,
    "test_platform_outages.py": 3.5,
    "test_postgres.py": 3,
    "test_quickstart.py": 15,
    "test_refusing_platform.py": 1,
    "test_resume.py": 2.5,
    "test_series.py": 2.5,
    "test_shard_items.py": 11,
    "test_shards.py": 8,
    "test_shards_under_faults.py": 15,
    "test_shared_account.py": 5,
    "test_single_commands.py": 12,
    "test_streams.py": 1.5,
    "test_supervisors.py": 4,
    "test_take_over.py": 3,
    "test_thirty_nights.py": 8,
    "test_traces.py": 2,
    "test_watch.py": 1.5,
}
"""
How long a test takes about, by its file or its folder in `tests/`; all others are short.

A name that another folder has too stands with its folder.
"""

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
        part.sort(key=partial(_turn, simulations_last=number % 2 == 0))
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
    *_, folder, file = parts = item.path.parts
    names = (f"{folder}/{file}", *reversed(parts))
    return next((SECS[name] for name in names if name in SECS), 0.0)


def _turn(item: pytest.Item, *, simulations_last: bool) -> tuple[bool, float]:
    """
    When a test of a worker comes: the longest first, so that the last ones fill the gaps.

    Half of the workers begin with simulations, which never wait; the others end with them.
    """
    return (SIMULATION in item.path.parts) is simulations_last, -_secs_of(item)
