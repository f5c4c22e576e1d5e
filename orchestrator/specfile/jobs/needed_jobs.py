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


def matching(patterns: tuple[str, ...], keys: list[str]) -> Iterator[tuple[str, list[int]]]:
    """The places in `keys` that each pattern matches, ignoring case."""
    lowered = [key.lower() for key in keys]
    places = {key: place for place, key in enumerate(lowered)}
    for pattern in patterns:
        wanted = pattern.lower()
        # Checked before patterns: a key may hold characters of a pattern, and a look-up is cheaper.
        if wanted in places:
            yield pattern, [places[wanted]]
        else:
            yield pattern, [n for n, key in enumerate(lowered) if fnmatchcase(key, wanted)]


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
class ItemJobs:
    """The name of a table whose rows are items, and the needs of its rows."""

    name: str
    needs: Sequence[str]


class NeedsCheck:
    """
    Collects the needs of all jobs, and checks them at the end.

    Jobs with equal needs are checked as one: if one of them is in a cycle, all are.

    Args:
        item_jobs: the tables whose jobs are made of items, in the order of the spec.
    """

    def __init__(self, item_jobs: Iterable[ItemJobs] = ()) -> None:
        self._keys: list[str] = []
        self._groups: dict[tuple[str, ...], list[int]] = {}
        self._places: dict[tuple[str, ...], FieldPath] = {}
        self._unknown: list[str | None] = []
        self._sweeps = tuple(item_jobs)

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
        for needs, places in self._groups.items():
            first = self._keys[places[0]]
            later = [*self._unknown, *(sweep.name for sweep in self._sweeps)]
            for pattern, found in matching(needs, self._keys):
                if not found and not any(may_match(pattern, name) for name in later):
                    yield self._places[needs], f"{first} needs {pattern!r}, but no job has that key"
                edges.setdefault(needs, set()).update(
                    group_of[place] for place in found if place in group_of
                )
            # A job does not wait for jobs that are made of its own items.
            edges[needs] |= self._sources_of(needs, group_of) - {needs}
        circle = _circle(edges)
        if circle:
            names = [self._keys[self._groups[needs][0]] for needs in circle]
            chain = " needs ".join([*names, names[0]])
            yield self._places[circle[0]], f"jobs need each other in a cycle: {chain}"

    def _sources_of(
        self, needs: tuple[str, ...], group_of: Mapping[int, tuple[str, ...]]
    ) -> set[tuple[str, ...]]:
        """The needs of the jobs whose items may become jobs that are needed."""
        patterns = tuple(
            pattern for maker in makers_of(needs, self._sweeps).values() for pattern in maker.needs
        )
        found = matching(patterns, self._keys) if patterns else ()
        return {group_of[place] for _, places in found for place in places if place in group_of}


def may_match(pattern: str, name: str | None) -> bool:
    """Whether a name may give a key that matches a pattern."""
    if name is None:
        return True
    pattern, name = pattern.lower(), name.lower()
    if not is_template(name):
        return fnmatchcase(name, pattern)
    # Up to the first part that can be anything, both must agree.
    one, other = re.split(r"[*?[]", pattern)[0], name.partition("{{")[0]
    return one.startswith(other) or other.startswith(one)


def _circle(edges: dict[tuple[str, ...], set[tuple[str, ...]]]) -> list[tuple[str, ...]]:
    """A cycle in a graph; empty if there is none."""
    done: set[tuple[str, ...]] = set()
    for start in edges:
        path: list[tuple[str, ...]] = []
        # Without recursion: a chain of jobs may be longer than Python's stack.
        stack = [(start, iter(edges[start]))] if start not in done else []
        path = [start] if stack else []
        while stack:
            node, following = stack[-1]
            target = next(following, None)
            if target is None:
                done.add(node)
                stack.pop()
                path.pop()
            elif target in path:
                return path[path.index(target) :]
            elif target not in done:
                path.append(target)
                stack.append((target, iter(edges.get(target, ()))))
    return []
