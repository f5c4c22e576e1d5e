"""Checks what inputs take of needed jobs, before these jobs have cost anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.model.jobs import Job
from orchestrator.specfile.diagnostics import unknown
from orchestrator.specfile.jobs.defaults import Merged
from orchestrator.specfile.jobs.needed_jobs import KeyIndex, is_pattern, may_match
from orchestrator.specfile.templates.filters import why_no_text
from orchestrator.specfile.templates.template import TemplateMistake, compile_template
from orchestrator.specfile.templates.trees import templates_in
from orchestrator.specfile.text.positions import Path as FieldPath

NEEDS = "needs"
FACTS = ("run_id", "dataset_id", "store_id", "output", "items")
"""What `{{ needs.KEY.… }}` has of a job."""
READABLE = ("json", "jsonl")
"""The formats whose items an input can have."""
NO_OUTPUT = "keeps no output record; set collect.output = true"
NO_ITEMS = "keeps no items; remove collect.items = false"


@dataclass(frozen=True, slots=True)
class _Taken:
    """A part of `needs` that an input takes."""

    place: FieldPath
    path: tuple[object, ...]
    is_part_of_text: bool


class NeededValuesCheck:
    """
    Checks that each `{{ needs.KEY.FACT }}` will have a value, and one that fits its place.

    Args:
        tables: the `[[jobs]]` tables in the order of the spec.
        later: names of jobs that are not known: those of tables whose rows are items.
    """

    def __init__(self, tables: Sequence[Merged], later: Sequence[str | None] = ()) -> None:
        self._taken = [list(_taken_of(merged)) for merged in tables]
        self._is_used = any(self._taken)
        self._later = list(later)
        self._groups: dict[tuple[int, tuple[str, ...]], None] = {}
        self._keys: list[str] = []
        self._lacks: list[Mapping[str, str]] = []

    def add(self, job: Job, table: int) -> None:
        """Adds a job; the caller adds all, in their order."""
        if not self._is_used:
            return
        if self._taken[table]:
            self._groups.setdefault((table, job.needs))
        self._keys.append(job.key)
        collect = job.collect
        self._lacks.append(_lacks(collect.output, collect.items, collect.query.format))

    def add_unknown(self, name: str | None) -> None:
        """Adds a name whose jobs have mistakes, so that their keys are not all known."""
        self._later.append(name)

    def mistakes(self) -> Iterator[tuple[FieldPath, str]]:
        """A sentence with its place for each part that no job will have."""
        index = KeyIndex(self._keys)
        for table, needs in self._groups:
            found = dict(index.matching(needs))
            known = {self._keys[place]: [place] for places in found.values() for place in places}
            known |= {pattern: places for pattern, places in found.items() if is_pattern(pattern)}
            # Without a job for a need, the need itself is the mistake.
            is_whole = bool(found) and all(
                places or self._may_come(pattern) for pattern, places in found.items()
            )
            for taken in self._taken[table]:
                for message in self._wrong_with(taken, known, is_whole=is_whole):
                    yield taken.place, message

    def _may_come(self, key: str) -> bool:
        """Whether a job that is not known may have a key."""
        return any(may_match(key, name) for name in self._later)

    def _wrong_with(
        self, taken: _Taken, known: dict[str, list[int]], *, is_whole: bool
    ) -> Iterator[str]:
        key, fact = (*map(str, taken.path), "", "")[:2]
        if key and key not in known:
            if is_whole and (is_pattern(key) or not self._may_come(key)):
                yield unknown(key, known, "needed job")
        elif fact and fact not in FACTS:
            yield unknown(fact, FACTS, f"value of needs.{key}")
        elif fact:
            lacking = next((place for place in known[key] if fact in self._lacks[place]), None)
            if lacking is not None:
                yield f"{self._keys[lacking]} {self._lacks[lacking][fact]}"
            # What is in a list may be anything.
            is_list = len(taken.path) == 2 and (fact == "items" or is_pattern(key))
            if is_list and taken.is_part_of_text:
                yield why_no_text([])
        elif taken.is_part_of_text:
            yield why_no_text({})


def _taken_of(merged: Merged) -> Iterator[_Taken]:
    if NEEDS not in merged.fields:
        return
    for path, text in templates_in(merged.fields.get("input")):
        try:
            if NEEDS not in compile_template(text).names:
                continue
        except TemplateMistake:
            # Another check reports it.
            continue
        # Imported late: most specs need no Jinja2.
        from orchestrator.specfile.templates.uses import uses

        for use in uses(text, NEEDS):
            yield _Taken(merged.place("input", *path), use.path, use.is_part_of_text)


@lru_cache
def _lacks(collects_output: bool, collects_items: bool, kept: str) -> Mapping[str, str]:
    """The facts that a job will not have, each with the reason."""
    lacks = {}
    if not collects_output:
        lacks["output"] = NO_OUTPUT
    if not collects_items:
        lacks["items"] = NO_ITEMS
    elif kept not in READABLE:
        lacks["items"] = no_items_in_input(kept)
    return lacks


def no_items_in_input(kept: str) -> str:
    """What to do about items of a format that an input cannot have."""
    return f'keeps its items as {kept}, which an input cannot have: set collect.format = "jsonl"'
