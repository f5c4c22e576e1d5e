"""Two jobs with one key: finds the first one again, and names both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, islice

import orjson
from pydantic import JsonValue

from orchestrator.errors import OrchestratorError, SpecError
from orchestrator.specfile.jobs.job_factory import CellMistake
from orchestrator.specfile.jobs.sweeps import Sweep
from orchestrator.specfile.mistakes import Mistakes
from orchestrator.specfile.sweep.cells import Cell, Matrix, cell_at, origins
from orchestrator.specfile.templates.template import compile_template, is_template
from orchestrator.specfile.templates.trees import Values
from orchestrator.specfile.text.positions import shown_path


@dataclass(frozen=True, slots=True)
class Repeated:
    """
    A job with the key of an earlier job.

    Attributes:
        sweep: counted from 0, as its place in that sweep.
    """

    key: str
    sweep: int
    place: int


def report_repeated_keys(
    sweeps: Sequence[Sweep], values: Values, repeated: Sequence[Repeated], mistakes: Mistakes
) -> None:
    """Records the collisions: of each sweep, as many as are shown, and the number of all."""
    by_sweep = groupby(repeated, lambda one: one.sweep)
    shown = [one for _, group in by_sweep for one in islice(group, SpecError.SHOWN)]
    firsts = _first_ones(sweeps, values, {one.key.lower() for one in shown})
    for one in repeated:
        sweep, this = sweeps[one.sweep], (one.sweep, one.place)
        place = sweep.merged.place("name")
        first = firsts.get(one.key.lower())
        if mistakes.is_full_at(place) or first is None:
            mistakes.add(place, "")
            continue
        # The loop found the job itself first: no other has its key, so only the hashes are equal.
        if first == this:
            raise OrchestratorError(f"the keys {one.key!r} and another have the same hash")
        mistakes.add(place, _collision(one.key, sweeps, first, this))


def _first_ones(
    sweeps: Sequence[Sweep], values: Values, wanted: set[str]
) -> dict[str, tuple[int, int]]:
    """The sweep and the place of the first job of each key, in lower case."""
    firsts: dict[str, tuple[int, int]] = {}
    for number, sweep in enumerate(sweeps):
        for place, cell in sweep.cells():
            if len(firsts) == len(wanted):
                return firsts
            with suppress(CellMistake):
                key = sweep.maker.key({**values, **cell}).lower() if sweep.maker else ""
                if key in wanted:
                    firsts.setdefault(key, (number, place))
    return firsts


def _collision(
    key: str, sweeps: Sequence[Sweep], first: tuple[int, int], this: tuple[int, int]
) -> str:
    """The sentence for a key that two jobs have."""
    places = []
    for number, place in (first, this):
        sweep = sweeps[number]
        where = where_of(sweep.matrix, place, cell_at(sweep.matrix, place))
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


def where_of(matrix: Matrix, place: int, cell: Cell) -> str:
    """Names a cell for a message, and the lines of its data."""
    if not cell:
        return ""
    return f"where {_shown(cell)}{''.join(f', {line}' for line in origins(matrix, place))}"


def _shown(cell: Mapping[str, JsonValue]) -> str:
    text = ", ".join(f"{name} = {orjson.dumps(value).decode()}" for name, value in cell.items())
    return text if len(text) <= 200 else f"{text[:199]}…"
