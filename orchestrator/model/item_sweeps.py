"""Sweeps whose rows are the items of other jobs of the same batch."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from orchestrator.model.jobs import Demand

MAX_JOBS = 1_000_000
"""How many jobs a batch may have, unless its spec says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSweep:
    """
    A sweep that makes jobs of the items of other jobs, as soon as each of those has succeeded.

    Attributes:
        name: the template of its keys; no two such sweeps of a batch have the same.
        needs: keys, or shell patterns of keys, of the jobs that make the items.
        demand: of its jobs, as far as it is known before.
        definition: JSON of what makes its jobs; see `specfile.items`.
        has_reuse: whether its jobs may take the results of earlier batches.
    """

    name: str
    needs: tuple[str, ...]
    demand: Demand
    definition: str
    has_reuse: bool = False

    def wants(self, key: str) -> bool:
        """Whether its rows include the items of the job with a key; case does not count."""
        key = key.lower()
        patterns = (pattern.lower() for pattern in self.needs)
        return any(key == pattern or fnmatchcase(key, pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """
    What one job has given to a sweep, recorded together with the jobs that were made of it.

    Attributes:
        sweep: the name of the sweep.
        source: the place of the job whose items were the rows.
        first_seq: of the jobs that were made; their places follow one another.
        left_out: how many rows gave no job though they were wanted.
        problem: why the first of those gave none.
    """

    sweep: str
    source: int
    first_seq: int
    jobs: int
    left_out: int = 0
    problem: str | None = None


class Sources:
    """
    Which jobs of a batch still have to give their items to which sweeps.

    A sweep takes the items of jobs that an earlier sweep of the spec has made, and never those of
    its own jobs or of a later sweep: so each expansion comes to an end.
    """

    def __init__(self, sweeps: Sequence[ItemSweep], expansions: Iterable[Expansion] = ()) -> None:
        self._sweeps = tuple(sweeps)
        self._order = {sweep.name: place for place, sweep in enumerate(sweeps)}
        # The first place and the end of the jobs of each expansion, and the order of its sweep.
        self._made: list[tuple[int, int, int]] = []
        self._done: set[tuple[str, int]] = set()
        for one in expansions:
            self.add(one)

    def __bool__(self) -> bool:
        return bool(self._sweeps)

    def __len__(self) -> int:
        """How many expansions are known."""
        return len(self._done)

    def add(self, expansion: Expansion) -> bool:
        """Notes an expansion that is recorded; returns whether it is new."""
        if (expansion.sweep, expansion.source) in self._done:
            return False
        self._done.add((expansion.sweep, expansion.source))
        if expansion.jobs:
            end = expansion.first_seq + expansion.jobs
            # Sweeps that an accepted change has removed from the spec feed all others.
            insort(self._made, (expansion.first_seq, end, self._order.get(expansion.sweep, -1)))
        return True

    def waiting(self, seq: int, key: str) -> list[ItemSweep]:
        """The sweeps that need the items of a job and have not taken them."""
        return [
            sweep
            for place, sweep in enumerate(self._sweeps)
            if (sweep.name, seq) not in self._done
            and sweep.wants(key)
            and self._maker_of(seq) < place
        ]

    def _maker_of(self, seq: int) -> int:
        """The place of the sweep that has made a job; -1 for a job that the spec lists."""
        before = bisect_left(self._made, (seq + 1,))
        if not before:
            return -1
        _, end, order = self._made[before - 1]
        return order if seq < end else -1
