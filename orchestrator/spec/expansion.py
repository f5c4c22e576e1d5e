"""
From a spec to its jobs, one after the other, in the order of the spec.

A job with a mistake is left out and the others go on, so that every mistake is told at once, at the
end.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import orjson
from pydantic import JsonValue

from orchestrator.errors import Mistake, SpecError
from orchestrator.model.jobs import Job
from orchestrator.spec.checks import check_fields, check_matrix, check_templates, rendered_part
from orchestrator.spec.inputs import InputFiles
from orchestrator.spec.load import LoadedSpec, place_of
from orchestrator.spec.making import CellMistake, JobMaker
from orchestrator.spec.merging import Merged, merge, take_out_misfits
from orchestrator.spec.model import RangeTable
from orchestrator.spec.params import given_params
from orchestrator.spec.positions import Path as FieldPath
from orchestrator.spec.positions import shown_path
from orchestrator.spec.sweep import Cell, Matrix, cell_at, cells, count_cells, range_values
from orchestrator.spec.templates import compile_template, is_template
from orchestrator.spec.trees import Values, templates_in

NOTHING: Mapping[str, str] = MappingProxyType({})


def expand(
    loaded: LoadedSpec,
    *,
    params: Mapping[str, str] = NOTHING,
    env: Mapping[str, str] = os.environ,
    today: date,
) -> Iterator[Job]:
    """
    The jobs of a spec, lazily; only their keys are kept.

    Args:
        params: the `--param` values, as typed.
        env: the environment; only whether a name is in it matters here.
        today: what `{{ date }}` is, unless a parameter has that name.

    Raises:
        SpecError: at the end, with every mistake that was found on the way.
    """
    mistakes = Mistakes(loaded)
    settled, found = given_params(loaded.spec.params, params)
    for path, message in found:
        mistakes.add(path, message)
    values = {"date": today.isoformat(), **settled}
    sweeps = _sweeps(loaded, values, env, mistakes)
    _refuse_too_many(loaded, sum(count_cells(sweep.matrix) for sweep in sweeps), mistakes)
    yield from _jobs(sweeps, values, mistakes)
    mistakes.raise_if_any()


class Mistakes:
    """
    The mistakes of an expansion; the first ones are kept, all are counted.
    """

    def __init__(self, loaded: LoadedSpec) -> None:
        self._loaded = loaded
        self._kept: dict[tuple[FieldPath, str], Mistake] = {}
        self._total = 0

    def add(self, path: FieldPath, message: str, cell: Mapping[str, JsonValue] = NOTHING) -> None:
        """
        Adds one at a field, of one cell or of all; what several jobs have in common is told once.
        """
        if self._total >= SpecError.SHOWN:
            self._total += 1
            return
        if cell:
            message = f"{message} (where {_shown(cell)})"
        if (path, message) not in self._kept:
            self._total += 1
            self._kept[path, message] = self._loaded.mistake(path, message)

    def raise_if_any(self) -> None:
        """
        Raises them all as one SpecError.
        """
        if self._total:
            raise SpecError(sorted(self._kept.values(), key=place_of), total=self._total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """
    One `[[jobs]]` table, found right so far.

    Attributes:
        matrix: without parameters for a single job.
        maker: gives the job of each cell.
    """

    merged: Merged
    matrix: Matrix
    maker: JobMaker


def _sweeps(
    loaded: LoadedSpec, values: Values, env: Mapping[str, str], mistakes: Mistakes
) -> list[Sweep]:
    """
    Every table, compiled; those with mistakes are left out, and their mistakes noted.
    """
    files = InputFiles(loaded.path.parent)
    sweeps = []
    for index, table in enumerate(loaded.spec.jobs):
        merged = merge(loaded.spec, index)
        matrix = {
            name: range_values(*entry.range) if isinstance(entry, RangeTable) else entry
            for name, entry in (table.matrix or {}).items()
        }
        found = [
            *take_out_misfits(merged),
            *check_fields(merged, loaded.spec.pools),
            *check_matrix(merged.path, matrix),
            *check_templates(merged, [*values, *matrix], env),
        ]
        if not found:
            try:
                maker = JobMaker(
                    merged,
                    params=_told(merged, loaded.spec.params, values),
                    files=files,
                    pools=loaded.spec.pools,
                )
            except CellMistake as mistake:
                found = mistake.found
            else:
                sweeps.append(Sweep(merged=merged, matrix=matrix, maker=maker))
        for path, message in found:
            mistakes.add(path, message)
    return sweeps


def _told(
    merged: Merged, declared: Mapping[str, JsonValue], values: Values
) -> dict[str, JsonValue]:
    """
    The parameters that jobs tell: those of the spec, and the date where it is used.
    """
    used = {
        name
        for field, value in merged.fields.items()
        for _, text in templates_in(rendered_part(field, value))
        for name in compile_template(text).names
    }
    return {name: value for name, value in values.items() if name in declared or name in used}


def _refuse_too_many(loaded: LoadedSpec, total: int, mistakes: Mistakes) -> None:
    most = loaded.spec.batch.max_jobs
    if total > most:
        shown = f"{total:,}" if total < 10**15 else "more than a thousand million million"
        mistakes.add(
            ("batch", "max_jobs"),
            f"the spec expands to {shown} jobs, more than max_jobs = {most:,} allows",
        )
        mistakes.raise_if_any()


def _jobs(sweeps: list[Sweep], values: Values, mistakes: Mistakes) -> Iterator[Job]:
    starts = []
    taken: dict[str, int] = {}
    seq = start = 0
    for sweep in sweeps:
        starts.append(start)
        for at, cell in enumerate(cells(sweep.matrix), start):
            try:
                job = sweep.maker.make(seq, cell, {**values, **cell})
            except CellMistake as mistake:
                for path, message in mistake.found:
                    mistakes.add(path, message, cell)
                continue
            first = taken.setdefault(job.key.lower(), at)
            if first == at:
                seq += 1
                yield job
            else:
                index = bisect_right(starts, first) - 1
                other = sweeps[index], cell_at(sweeps[index].matrix, first - starts[index])
                mistakes.add(sweep.merged.place("name"), _collision(job, (sweep, cell), other))
        start += count_cells(sweep.matrix)


def _collision(job: Job, this: tuple[Sweep, Cell], other: tuple[Sweep, Cell]) -> str:
    """
    The sentence for a key that two jobs have.
    """
    sweep, cell = this
    name = sweep.merged.fields["name"]
    used = compile_template(name).names if is_template(name) else frozenset()
    unused = [parameter for parameter in cell if parameter not in used]
    hint = f"; put {', '.join(unused)} into the name" if unused else ""
    one, two = (
        shown_path(sweep.merged.path) + (f" where {_shown(cell)}" if cell else "")
        for sweep, cell in (other, this)
    )
    return f"two jobs have the key {job.key!r} (case does not count): {one}, and {two}{hint}"


def _shown(cell: Mapping[str, JsonValue]) -> str:
    text = ", ".join(f"{name} = {orjson.dumps(value).decode()}" for name, value in cell.items())
    return text if len(text) <= 200 else f"{text[:199]}…"
