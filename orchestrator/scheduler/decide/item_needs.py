"""Which needs of jobs may be fulfilled by jobs that are still to be made of items. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from orchestrator.model.item_sweeps import Expansion, Sources

Needs = tuple[str, ...]
Step = tuple[str, int]
"""A sweep, and the place of a job whose items it is to take."""


class ItemNeeds:
    """
    The steps after which all jobs that a job needs have been made.

    Args:
        sources: of the batch.
        makers: for each kind of needs, the sweeps that may make such jobs, or the items for them.
    """

    def __init__(self, sources: Sources, makers: Mapping[Needs, Iterable[str]]) -> None:
        self._sources = sources
        self._makers = {needs: frozenset(names) for needs, names in makers.items()}

    def add(self, expansion: Expansion) -> None:
        """Notes an expansion, before the jobs that it has made."""
        self._sources.add(expansion)

    def steps(self, seq: int, key: str) -> list[Step]:
        """The steps that a job leads to."""
        return [(one.name, seq) for one in self._sources.waiting(seq, key)]

    def makers(self, needs: Needs) -> frozenset[str]:
        """The sweeps whose steps matter to some needs."""
        return self._makers.get(needs, frozenset())


def matches(needs: Needs, key: str) -> bool:
    """Whether a key is one of those that are needed; case does not count."""
    key = key.lower()
    return any(key == one.lower() or fnmatchcase(key, one.lower()) for one in needs)
