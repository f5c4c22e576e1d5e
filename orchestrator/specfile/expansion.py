"""
Expands a spec to its jobs, one by one, in the order of the spec.

It skips a job with a mistake and continues, and reports all mistakes together at the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType

import orjson
from pydantic import JsonValue

from orchestrator.errors import Mistake, OrchestratorError, SpecError
from orchestrator.model.jobs import Job
from orchestrator.specfile.jobs.checks import (
    Names,
    check_expectations,
    check_fields,
    check_live,
    check_parameters,
    check_results,
    check_templates,
    rendered_part,
)
from orchestrator.specfile.jobs.defaults import Merged, merge, take_out_misfits
from orchestrator.specfile.jobs.input_files import InputFiles
from orchestrator.specfile.jobs.job_factory import CellMistake, JobMaker
from orchestrator.specfile.jobs.needed_jobs import NeedsCheck
from orchestrator.specfile.jobs.result_columns import check_columns
from orchestrator.specfile.load import LoadedSpec, place_of
from orchestrator.specfile.model import CollectTable
from orchestrator.specfile.notify_urls import check_notify
from orchestrator.specfile.parameters import given_params
from orchestrator.specfile.sweep.axes import MatrixMaker
from orchestrator.specfile.sweep.cells import Cell, Matrix, cell_at, cells, origins
from orchestrator.specfile.tables.data_source import Surroundings
from orchestrator.specfile.tables.source_mistake import SourceMistake
from orchestrator.specfile.templates.template import (
    TemplateMistake,
    compile_template,
    is_template,
)
from orchestrator.specfile.templates.trees import Values, templates_in
from orchestrator.specfile.text.positions import Path as FieldPath
from orchestrator.specfile.text.positions import shown_path
from orchestrator.specfile.text.stdin import STANDARD_INPUT

OUTPUT = Path("output")
NOTHING: Mapping[str, str] = MappingProxyType({})


def expand(
    loaded: LoadedSpec,
    *,
    params: Mapping[str, str] = NOTHING,
    env: Mapping[str, str] = os.environ,
    today: date,
    output: Path = OUTPUT,
) -> Iterator[Job]:
    """
    Yields the jobs of a spec; keeps only the data of its parameters in memory.

    Args:
        params: the `--param` values, as on the command line.
        env: the environment; only its names matter here.
        today: the value of `{{ date }}`, unless a parameter has that name.
        output: the folder of batches whose results the spec reads.

    Raises:
        SpecError: at the end, with all mistakes.
    """
    mistakes = Mistakes(loaded)
    settled, found = given_params(loaded.spec.params, params)
    for path, message in found:
        mistakes.add(path, message)
    values = {"date": today.isoformat(), **settled}
    for path, message in (*check_results(loaded.spec), *check_notify(loaded.spec.notify, env)):
        mistakes.add(path, message)
    sweeps = _sweeps(loaded, values, env, output, mistakes)
    # A table with a mistake may be the one that has the columns.
    if len(sweeps) == len(loaded.spec.jobs):
        collects = [sweep.merged.fields.get("collect") or CollectTable() for sweep in sweeps]
        names = {*values, *(name for sweep in sweeps for name in sweep.matrix.names)}
        for path, message in check_columns(loaded, collects, names, output):
            mistakes.add(path, message)
    # Before any job is made: a mistyped range may stand for billions.
    least = sum(sweep.matrix.places for sweep in sweeps if not sweep.matrix.is_thinned)
    _refuse_too_many(loaded, least, mistakes)
    yield from _jobs(loaded, sweeps, values, mistakes)
    mistakes.raise_if_any()


class Mistakes:
    """The mistakes of an expansion: keeps the first ones and counts all."""

    def __init__(self, loaded: LoadedSpec) -> None:
        self._loaded = loaded
        self._kept: dict[tuple[FieldPath, str], Mistake] = {}
        self._total = 0

    @property
    def is_full(self) -> bool:
        """Whether it only counts further mistakes."""
        return self._total >= SpecError.SHOWN

    def add(self, path: FieldPath, message: str) -> None:
        """Adds a mistake at a field of the spec; a repeated one counts once."""
        self._keep(path, message, lambda: self._loaded.mistake(path, message))

    def add_source(self, wrong: SourceMistake) -> None:
        """Adds a mistake in the data of a matrix."""
        mistake = Mistake(file=wrong.file, line=wrong.line, column=wrong.column, message=str(wrong))
        self._keep((wrong.file, wrong.line or 0), str(wrong), lambda: mistake)

    def _keep(self, path: FieldPath, message: str, make: Callable[[], Mistake]) -> None:
        if self.is_full:
            self._total += 1
        elif (path, message) not in self._kept:
            self._total += 1
            self._kept[path, message] = make()

    def raise_if_any(self) -> None:
        """Raises all mistakes as one SpecError."""
        if self._total:
            raise SpecError(sorted(self._kept.values(), key=place_of), total=self._total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """
    One `[[jobs]]` table without mistakes so far.

    Attributes:
        matrix: has no parameters for a single job.
        maker: makes the job of each cell.
    """

    merged: Merged
    matrix: Matrix
    maker: JobMaker


def _sweeps(
    loaded: LoadedSpec, values: Values, env: Mapping[str, str], output: Path, mistakes: Mistakes
) -> list[Sweep]:
    """All tables, compiled; skips those with mistakes, and records the mistakes."""
    files = InputFiles()
    sweeps = []
    for index, table in enumerate(loaded.spec.jobs):
        merged = merge(loaded.spec, index)
        around = Surroundings(
            folder=loaded.folder(merged.path),
            output=output,
            is_piped=str(loaded.path) == STANDARD_INPUT,
        )
        used = _used_names(merged)
        made = MatrixMaker((*merged.path, "matrix"), around, mistakes.add_source, used)
        matrix = made.make(table.matrix)
        found = [
            *take_out_misfits(merged),
            *check_fields(merged, loaded.spec.pools),
            *check_expectations(merged),
            *check_parameters(merged),
            *check_live(merged),
            *made.found,
        ]
        # Without all names, each use of a missing one would be reported as a mistake.
        if made.is_whole:
            names = Names(
                known=[*values, *matrix.names],
                env=env,
                unkept=matrix.unkept,
                unnamed=made.unnamed,
            )
            found += check_templates(merged, names)
        if not found:
            try:
                maker = JobMaker(
                    merged,
                    params={
                        name: value
                        for name, value in values.items()
                        if name in loaded.spec.params or name in used
                    },
                    files=files,
                    folders={
                        name: loaded.folder(merged.place(name)) for name in ("input", "input_file")
                    },
                    pools=loaded.spec.pools,
                    unkept=matrix.unkept,
                )
            except CellMistake as mistake:
                found = mistake.found
            else:
                sweeps.append(Sweep(merged=merged, matrix=matrix, maker=maker))
        for path, message in found:
            mistakes.add(path, message)
    return sweeps


def _used_names(merged: Merged) -> set[str]:
    """The names that the templates of a job use, as far as they are valid."""
    used: set[str] = set()
    for field, value in merged.fields.items():
        for _, text in templates_in(rendered_part(field, value)):
            with suppress(TemplateMistake):
                used |= compile_template(text).names
    return used


def _refuse_too_many(loaded: LoadedSpec, total: int, mistakes: Mistakes) -> None:
    most = loaded.spec.batch.max_jobs
    if total > most:
        shown = f"{total:,}" if total < 10**15 else "more than a thousand million million"
        mistakes.add(
            ("batch", "max_jobs"),
            f"the spec expands to {shown} jobs, more than max_jobs = {most:,} allows",
        )
        mistakes.raise_if_any()


def _jobs(
    loaded: LoadedSpec, sweeps: list[Sweep], values: Values, mistakes: Mistakes
) -> Iterator[Job]:
    """
    The jobs of all sweeps.

    It keeps only hashes of used keys, because a million keys take three times the memory. It checks
    repeated hashes at the end.
    """
    taken: set[int] = set()
    twins: list[Twin] = []
    seq = 0
    # Most specs have no needs, and the check keeps every key.
    needs = NeedsCheck() if _has_needs(sweeps) else None
    most = loaded.spec.batch.max_jobs
    for number, sweep in enumerate(sweeps):
        for place, cell in cells(sweep.matrix):
            try:
                job = sweep.maker.make(seq, cell, {**values, **cell})
            except CellMistake as mistake:
                for path, message in mistake.found:
                    where = "" if mistakes.is_full else _where(sweep.matrix, place, cell)
                    mistakes.add(path, f"{message} ({where})" if where else message)
                continue
            # Keys are names of folders, and some file systems ignore case.
            sign = hash(job.key.lower())
            if sign in taken:
                twins.append(Twin(job.key, number, place))
                continue
            taken.add(sign)
            seq += 1
            if seq > most:
                # Only a thinned matrix has no known count before.
                _refuse_too_many(loaded, seq, mistakes)
            if needs is not None:
                needs.add(job)
            yield job
    if twins:
        _tell_twins(sweeps, values, twins, mistakes)
    for message in () if needs is None else needs.mistakes():
        mistakes.add(("jobs",), message)


def _has_needs(sweeps: list[Sweep]) -> bool:
    return any("needs" in sweep.merged.fields for sweep in sweeps)


@dataclass(frozen=True, slots=True)
class Twin:
    """
    A job with the key of an earlier job.

    Attributes:
        sweep: counted from 0, as its place in that sweep.
    """

    key: str
    sweep: int
    place: int


def _tell_twins(sweeps: list[Sweep], values: Values, twins: list[Twin], mistakes: Mistakes) -> None:
    """Reports the earlier job of each collision, up to the number of shown mistakes."""
    wanted = {twin.key.lower() for twin in twins[: SpecError.SHOWN]}
    firsts: dict[str, tuple[int, int]] = {}
    for number, sweep in enumerate(sweeps):
        for place, cell in cells(sweep.matrix):
            if len(firsts) == len(wanted):
                break
            with suppress(CellMistake):
                key = sweep.maker.key({**values, **cell}).lower()
                if key in wanted:
                    firsts.setdefault(key, (number, place))
    for twin in twins:
        if mistakes.is_full:
            mistakes.add((), "")
            continue
        first, this = firsts[twin.key.lower()], (twin.sweep, twin.place)
        # The loop found the job itself first: no other has its key, so only the hashes are equal.
        if first == this:
            raise OrchestratorError(f"the keys {twin.key!r} and another have the same hash")
        sweep = sweeps[twin.sweep]
        mistakes.add(sweep.merged.place("name"), _collision(twin.key, sweeps, first, this))


def _collision(key: str, sweeps: list[Sweep], first: tuple[int, int], this: tuple[int, int]) -> str:
    """The sentence for a key that two jobs have."""
    places = []
    for number, place in (first, this):
        sweep = sweeps[number]
        where = _where(sweep.matrix, place, cell_at(sweep.matrix, place))
        places.append(shown_path(sweep.merged.path) + (f" {where}" if where else ""))
    sweep = sweeps[this[0]]
    name = sweep.merged.fields["name"]
    used = compile_template(name).names if is_template(name) else frozenset()
    unused = [parameter for parameter in sweep.matrix.names if parameter not in used]
    cells_of = [cell_at(sweeps[number].matrix, place) for number, place in (first, this)]
    hint = f"; put {', '.join(unused)} into the name" if unused else ""
    if cells_of[0] == cells_of[1] and any(axis.source for axis in sweep.matrix.axes):
        hint = "; both rows are equal: set distinct = true to leave out repeated ones"
    return (
        f"two jobs have the key {key!r} (case does not count): {places[0]}, and {places[1]}{hint}"
    )


def _where(matrix: Matrix, place: int, cell: Cell) -> str:
    """Names a cell for a message, and the lines of its data."""
    if not cell:
        return ""
    return f"where {_shown(cell)}{''.join(f', {line}' for line in origins(matrix, place))}"


def _shown(cell: Mapping[str, JsonValue]) -> str:
    text = ", ".join(f"{name} = {orjson.dumps(value).decode()}" for name, value in cell.items())
    return text if len(text) <= 200 else f"{text[:199]}…"
