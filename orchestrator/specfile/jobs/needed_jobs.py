"""Checks that needed jobs exist, and that needs have no cycle."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

from orchestrator.model.jobs import Job
from orchestrator.specfile.templates.template import is_template
from orchestrator.specfile.text.positions import Path as FieldPath

M = TypeVar("M", bound="Makes")


class KeyIndex:
    """The keys of jobs, in which those that are needed are found, ignoring case."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._places = {key.lower(): place for place, key in enumerate(keys)}

    def matching(self, patterns: Iterable[str]) -> Iterator[tuple[str, list[int]]]:
        """The places of the keys that each pattern matches."""
        for pattern in patterns:
            wanted = pattern.lower()
            if is_pattern(wanted):
                found = [n for key, n in self._places.items() if fnmatchcase(key, wanted)]
                yield pattern, found
            else:
                # Without a scan: each job of a long sweep may need one of another.
                yield pattern, [self._places[wanted]] if wanted in self._places else []


def is_pattern(text: str) -> bool:
    """Whether a text is a pattern of keys, and not one key."""
    return any(mark in text for mark in "*?[")


class Makes(Protocol):
    """A sweep whose rows are the items of other jobs."""

    @property
    def name(self) -> str:
        """The template of its keys."""
        ...

    @property
    def needs(self) -> Sequence[str]:
        """Keys or patterns of the jobs whose items are its rows."""
        ...


def makers_of(patterns: Iterable[str], sweeps: Sequence[M]) -> dict[str, M]:
    """
    The sweeps that may make jobs whose keys match a pattern, and those that make their sources.

    Args:
        sweeps: in the order of the spec: each takes jobs of those before it.
    """
    wanted = list(patterns)
    makers: dict[str, M] = {}
    for sweep in reversed(sweeps):
        if any(may_match(pattern, sweep.name) for pattern in wanted):
            makers[sweep.name] = sweep
            wanted += sweep.needs
    return makers


@dataclass(frozen=True, slots=True)
class ItemTable:
    """The name of a table whose rows are items, and the needs of its rows."""

    name: str
    needs: Sequence[str]


class NeedsCheck:
    """
    Collects the needs of all jobs, and checks them at the end; jobs with equal needs as one.

    Args:
        item_tables: the tables whose jobs are made of items, in the order of the spec.
    """

    def __init__(self, item_tables: Iterable[ItemTable] = ()) -> None:
        self._keys: list[str] = []
        self._groups: dict[tuple[str, ...], list[int]] = {}
        self._places: dict[tuple[str, ...], FieldPath] = {}
        self._unknown: list[str | None] = []
        self._sweeps = tuple(item_tables)

    def add(self, job: Job, place: FieldPath) -> None:
        """
        Adds a job; the caller adds all, in their order.

        Args:
            place: the place of its needs in the spec.
        """
        if job.needs:
            self._groups.setdefault(job.needs, []).append(len(self._keys))
            self._places.setdefault(job.needs, place)
        self._keys.append(job.key)

    def add_unknown(self, name: str | None) -> None:
        """Adds a name whose jobs have mistakes, so that their keys are not all known."""
        self._unknown.append(name)

    def mistakes(self) -> Iterator[tuple[FieldPath, str]]:
        """A sentence with its place for each need without a job, and for the first cycle."""
        group_of = {place: needs for needs, places in self._groups.items() for place in places}
        edges: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        keys = KeyIndex(self._keys)
        sources: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for needs, places in self._groups.items():
            first = self._keys[places[0]]
            later = [*self._unknown, *(sweep.name for sweep in self._sweeps)]
            for pattern, found in keys.matching(needs):
                if not found and not any(may_match(pattern, name) for name in later):
                    yield self._places[needs], f"{first} needs {pattern!r}, but no job has that key"
                edges.setdefault(needs, set()).update(
                    group_of[place] for place in found if place in group_of
                )
            makers = makers_of(needs, self._sweeps)
            # Most groups of a sweep have the same ones.
            made_by = tuple(makers)
            if made_by not in sources:
                sources[made_by] = _sources_of(makers.values(), keys, group_of)
            # A job does not wait for jobs that are made of its own items.
            edges[needs] |= sources[made_by] - {needs}
        circle = _circle(edges)
        if circle:
            pairs = zip([circle[-1], *circle], circle, strict=False)
            names = [self._needed(needs, by, keys, group_of) for by, needs in pairs]
            chain = " needs ".join([*names, names[0]])
            yield self._places[circle[0]], f"jobs need each other in a cycle: {chain}"

    def _needed(
        self,
        needs: tuple[str, ...],
        by: tuple[str, ...],
        keys: KeyIndex,
        group_of: Mapping[int, tuple[str, ...]],
    ) -> str:
        """The first job with some needs that is needed by jobs with others, perhaps by items."""
        found = (place for _, places in keys.matching(by) for place in places)
        own = (place for place in found if group_of.get(place) == needs)
        return self._keys[next(own, self._groups[needs][0])]


def _sources_of(
    makers: Iterable[ItemTable], keys: KeyIndex, group_of: Mapping[int, tuple[str, ...]]
) -> set[tuple[str, ...]]:
    """The needs of the jobs whose items become jobs of some tables."""
    return {
        group_of[place]
        for maker in makers
        for _, places in keys.matching(maker.needs)
        for place in places
        if place in group_of
    }


def may_match(pattern: str, name: str | None) -> bool:
    """Whether a name may give a key that matches a pattern."""
    if name is None:
        return True
    pattern, name = pattern.lower(), name.lower()
    if not is_template(name):
        return fnmatchcase(name, pattern)
    # Up to the first part that can be anything, both must agree.
    one, other = re.split(r"[*?[]", pattern)[0], name.partition("{{")[0]
    if is_pattern(pattern):
        return one.startswith(other) or other.startswith(one)
    return one.startswith(other) and pattern.endswith(name.rpartition("}}")[2])


def _circle(edges: dict[tuple[str, ...], set[tuple[str, ...]]]) -> list[tuple[str, ...]]:
    """A cycle in a graph; empty if there is none."""
    done: set[tuple[str, ...]] = set()
    for start in edges:
        # Without recursion: a chain of jobs may be longer than Python's stack.
        path = {start: iter(edges[start])} if start not in done else {}
        while path:
            node, following = next(reversed(path.items()))
            target = next(following, None)
            if target is None:
                done.add(node)
                path.popitem()
            elif target in path:
                nodes = list(path)
                return nodes[nodes.index(target) :]
            elif target not in done:
                path[target] = iter(edges.get(target, ()))
    return []
