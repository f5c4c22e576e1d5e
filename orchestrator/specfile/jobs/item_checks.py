"""Checks of a sweep whose rows are the items of other jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from orchestrator.model.jobs import Job
from orchestrator.specfile.diagnostics import unknown
from orchestrator.specfile.jobs.checks import rendered_part
from orchestrator.specfile.jobs.defaults import Merged
from orchestrator.specfile.jobs.needed_jobs import may_match
from orchestrator.specfile.model import ExpectTable
from orchestrator.specfile.sweep.matrix import (
    CHUNK,
    SOURCE,
    ItemRowsTable,
    MatrixTable,
    fields_of,
    row_names,
)
from orchestrator.specfile.templates.filters import why_no_text
from orchestrator.specfile.templates.template import TemplateMistake, compile_template, is_template
from orchestrator.specfile.templates.trees import templates_in
from orchestrator.specfile.text.positions import Path as FieldPath

Found = Iterator[tuple[FieldPath, str]]
WORDS = {
    SOURCE: "the key of the job that made the item",
    CHUNK: "the number of the chunk",
}


def item_rows_of(matrix: MatrixTable | None) -> ItemRowsTable | None:
    """The rows of a matrix, if they are the items of other jobs."""
    rows = None if matrix is None else matrix.rows
    return rows if isinstance(rows, ItemRowsTable) else None


def check_item_rows(merged: Merged, matrix: MatrixTable | None) -> Found:
    """Checks the parts of a sweep that need not work with rows that come during the batch."""
    rows = item_rows_of(matrix)
    if rows is None or matrix is None:
        return
    place = (*merged.path, "matrix")
    for name in ("zip", "include", "exclude", "sample"):
        if getattr(matrix, name):
            cure = "; use where to leave some out" if name in ("exclude", "sample") else ""
            yield (*place, name), f"does not go with rows that are items{cure}"
    for name in matrix.__pydantic_extra__ or {}:
        cure = "give each value a [[jobs]] table of its own"
        yield (*place, name), f"does not go with rows that are items; {cure}"
    for name in fields_of(rows):
        if name in WORDS:
            cure = f'give the field another name: fields = {{ NAME = "{name}" }}'
            yield (*place, "rows", "fields"), f"{name} is {WORDS[name]}; {cure}"
    if rows.known is not None and rows.known.key not in fields_of(rows):
        said = unknown(rows.known.key, fields_of(rows), "parameter")
        yield (*place, "rows", "except", "key"), said
    if rows.where is not None:
        yield from _wrong_with_condition(rows.where, (*place, "rows", "where"))
    yield from _unfit_fields(merged, rows)


def _wrong_with_condition(text: str, place: FieldPath) -> Found:
    # Imported late: only conditions need Jinja2 here.
    from orchestrator.specfile.templates.condition import compile_condition

    try:
        compile_condition(text)
    except TemplateMistake as mistake:
        yield place, str(mistake)


def _unfit_fields(merged: Merged, rows: ItemRowsTable) -> Found:
    fields, names = merged.fields, set(row_names(rows))
    if "needs" in fields:
        yield merged.place("needs"), "is the needs of the rows here: matrix.rows.needs"
    for name in ("actor", "task"):
        if _names_in(fields.get(name)) & names:
            yield (
                merged.place(name),
                "cannot depend on items: what runs is checked before the first start",
            )
    if "name" in fields and not _names_in(fields["name"]) & names:
        yield merged.place("name"), f"must use one of {', '.join(sorted(names))}: keys must differ"
    if rows.chunk is not None:
        yield from _lists_in_texts(merged, list(fields_of(rows)))
    expect: ExpectTable | None = fields.get("expect")
    if expect is not None and expect.max_drop is not None:
        yield merged.place("expect", "max_drop"), "does not go with rows that are items"


def _lists_in_texts(merged: Merged, lists: Sequence[str]) -> Found:
    """The texts of which a list would be a part: each job would fail, after its source has run."""
    # Imported late: most specs have no chunks of items.
    from orchestrator.specfile.templates.uses import joins_list

    for name, value in merged.fields.items():
        for path, text in templates_in(rendered_part(name, value)):
            if _names_in(text) and joins_list(text, lists):
                yield merged.place(name, *path), why_no_text([])


def _names_in(text: object) -> set[str]:
    if not isinstance(text, str) or not is_template(text):
        return set()
    try:
        return set(compile_template(text).names)
    except TemplateMistake:
        # Another check reports it.
        return set()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sweep:
    """A sweep whose rows are items, and the pattern that its keys match."""

    place: FieldPath
    rows: ItemRowsTable
    name: str


class SourcesCheck:
    """
    Checks that the jobs whose items are rows exist, and that they make items.

    Args:
        sweeps: the tables in the order of the spec, each with its rows if they are items.
    """

    def __init__(self, sweeps: Sequence[tuple[Merged, ItemRowsTable | None]]) -> None:
        self._sweeps = [
            _Sweep(place=merged.path, rows=rows, name=str(merged.fields.get("name")))
            for merged, rows in sweeps
            if rows is not None
        ]
        self._found: set[tuple[int, str]] = set()
        self._unfit: dict[int, str] = {}
        self._unknown: list[str | None] = []

    def add(self, job: Job) -> None:
        """Looks at a job of the spec."""
        if not self._sweeps:
            return
        key = job.key.lower()
        for number, sweep in enumerate(self._sweeps):
            for pattern in sweep.rows.needs:
                if fnmatchcase(key, pattern.lower()) or key == pattern.lower():
                    self._found.add((number, pattern))
                    why = _why_unfit(job, sweep.rows)
                    if why is not None:
                        self._unfit.setdefault(number, f"{job.key} {why}")

    def add_unknown(self, name: str | None, rows: ItemRowsTable | None) -> None:
        """Adds a name whose jobs have mistakes, so that their keys are not all known."""
        # Jobs of items come later than those that the first such sweep needs.
        if rows is None:
            self._unknown.append(name)

    def mistakes(self) -> Found:
        """A sentence for each need without a job, and for each sweep with an unfit job."""
        names: dict[str, int] = {}
        for number, sweep in enumerate(self._sweeps):
            place = (*sweep.place, "matrix", "rows", "needs")
            for pattern in sweep.rows.needs:
                # The keys of an earlier sweep are not known; it may make such jobs.
                earlier = [*self._unknown, *(one.name for one in self._sweeps[:number])]
                is_known = (number, pattern) in self._found
                if not is_known and not any(may_match(pattern, name) for name in earlier):
                    yield place, self._why_absent(pattern, self._sweeps[number + 1 :])
            if number in self._unfit:
                yield place, self._unfit[number]
            if names.setdefault(sweep.name, number) != number:
                yield (*sweep.place, "name"), "another job with rows that are items has this name"

    @staticmethod
    def _why_absent(pattern: str, later: Sequence[_Sweep]) -> str:
        """Why no job that is needed can come before a sweep."""
        maker = next((one for one in later if may_match(pattern, one.name)), None)
        if maker is None:
            return f"no job has a key like {pattern!r}"
        return f"{maker.name} makes such jobs, and must stand above this table in the spec"


def _why_unfit(job: Job, rows: ItemRowsTable) -> str | None:
    """Why the results of a job cannot be rows."""
    if rows.output:
        return None if job.collect.output else "keeps no output record; set collect.output = true"
    if not job.collect.items:
        return "keeps no items; remove collect.items = false, or set output = true"
    if job.collect.query.format != "jsonl":
        return f'keeps its items as {job.collect.query.format}; rows need "jsonl"'
    return None
