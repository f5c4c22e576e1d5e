"""Turns `[jobs.matrix]` into the axes of a sweep, and reads the data that it names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any

import orjson
from pydantic import JsonValue

from orchestrator.specfile.diagnostics import show, unknown
from orchestrator.specfile.parameters import BAD_NAME, is_parameter_name
from orchestrator.specfile.sweep.cells import (
    Axis,
    Cell,
    Chunks,
    Matrix,
    Sample,
    day_values,
    is_same,
    range_values,
)
from orchestrator.specfile.sweep.matrix import (
    ColumnTable,
    DatesTable,
    ExceptTable,
    ItemRowsTable,
    MatrixTable,
    RangeTable,
    RowsTable,
    SampleTable,
    SourceTable,
    fields_of,
    row_names,
)
from orchestrator.specfile.tables.column_choice import WHOLE, Data, Report, Wanted
from orchestrator.specfile.tables.columns import read_data
from orchestrator.specfile.tables.data_source import Surroundings, sources_of
from orchestrator.specfile.tables.earlier_values import EarlierValues
from orchestrator.specfile.tables.source_mistake import SourceMistake
from orchestrator.specfile.text.positions import Path as FieldPath

Found = list[tuple[FieldPath, str]]
# All combinations have to be looked at, which takes many seconds for so many.
MOST_THINNED = 10_000_000
# Well below the platform's limit for an input, which holds more than the list.
USUAL_CHUNK_BYTES = 4_000_000


class MatrixMaker:
    """
    Makes the matrix of one job.

    Args:
        place: the place of the matrix in the spec.
        report: receives mistakes in data.
        used: the names that the templates of the job use.

    Attributes:
        found: the mistakes in the spec itself.
        unnamed: columns of data that templates cannot use by their names.
        is_whole: whether the names of all parameters are known.
    """

    def __init__(
        self, place: FieldPath, around: Surroundings, report: Report, used: Collection[str] = ()
    ) -> None:
        self._place = place
        self._around = around
        self._report = report
        self._used = {*used}
        self._reported: set[str] = set()
        self.found: Found = []
        self.unnamed: list[str] = []
        self.is_whole = True

    def make(self, table: MatrixTable | None) -> Matrix:
        """The matrix; not valid if `found` is not empty or a mistake was reported."""
        if table is None:
            return Matrix()
        parameters = dict(table.__pydantic_extra__ or {})
        self._used.update(*(table.include or ()), *(table.exclude or ()))
        axes = {}
        if table.rows is not None:
            axes["rows"] = self._at(("rows",), self._rows, table.rows)
        for name, values in parameters.items():
            axes[name] = self._at((name,), self._axis, name, values)
        axes = self._zipped(axes, table.zip)
        known = [name for axis in axes.values() for name in axis.names]
        self._check_names(axes)
        extra = tuple(dict(cell) for cell in table.include or ())
        self._check_extra(extra, known)
        self._check_excluded(table.exclude or (), known, parameters)
        matrix = Matrix(
            axes=tuple(axes.values()),
            extra=extra,
            excluded=tuple(table.exclude or ()),
            sample=_sample(table.sample),
            unkept=_unkept(table.rows, parameters),
        )
        if matrix.is_thinned and matrix.crossed > MOST_THINNED:
            self._wrong(
                ("exclude",) if matrix.excluded else ("sample",),
                f"there are more than {MOST_THINNED:,} combinations to choose from",
            )
        return matrix

    def _at(self, place: FieldPath, make: Callable[..., Axis], *values: Any) -> Axis:
        """Runs a step; if data cannot be read, reports it and returns an axis without values."""
        try:
            return make(*values)
        except SourceMistake as mistake:
            if mistake.line is not None:
                self._note(mistake)
            elif mistake.file not in self._reported:
                # It concerns the whole file, and does not follow from its rows.
                self._wrong(place, f"{mistake.file}: {mistake}")
        except ValueError as error:
            self._wrong(place, str(error))
        self.is_whole = self.is_whole and place != ("rows",)
        names = tuple(str(name) for name in place if name != "rows")
        return Axis(names=names, columns=tuple([] for _ in names))

    def _note(self, mistake: SourceMistake) -> None:
        self._reported.add(mistake.file)
        self._report(mistake)

    def _wrong(self, place: FieldPath, message: str) -> None:
        self.found.append(((*self._place, *place), message))

    def _axis(self, name: str, values: Any) -> Axis:
        match values:
            case RangeTable():
                steps = range_values(*values.range)
                if not steps.count:
                    raise ValueError("has no values: the step leads away from the last number")
                return Axis(names=(name,), columns=(steps,))
            case DatesTable():
                first, last = (date.fromisoformat(day) for day in values.dates)
                days = day_values(first, last, values.step_days)
                if not days.count:
                    raise ValueError("has no values: the last day is before the first one")
                return Axis(names=(name,), columns=(days,))
            case ColumnTable():
                return self._column(name, values)
            case _:
                return Axis(names=(name,), columns=(values,))

    def _column(self, name: str, table: ColumnTable) -> Axis:
        types = {} if table.type is None else {name: table.type}
        axis = self._read(table, {name: table.column or WHOLE}, types)
        if not _is_chunked(table):
            return axis
        values = list(axis.columns[0])
        chunks = Chunks(values, chunk_edges(values, table))
        return Axis(names=(name, f"{name}_chunk"), columns=(chunks, range(1, chunks.count + 1)))

    def _rows(self, rows: list[dict[str, JsonValue]] | RowsTable | ItemRowsTable) -> Axis:
        if isinstance(rows, ItemRowsTable):
            # Without values: its jobs are made during the batch.
            parameters = row_names(rows)
            return Axis(names=parameters, columns=tuple([] for _ in parameters))
        if isinstance(rows, RowsTable):
            columns = rows.columns
            if isinstance(columns, list):
                columns = {name: name for name in columns}
            for name in rows.types:
                if columns is not None and name not in columns:
                    self._wrong(("rows", "types", name), unknown(name, columns, "parameter"))
            return self._read(rows, columns, rows.types)
        names = list(rows[0])
        for index, row in enumerate(rows):
            self._check_cell(("rows", index), row, names, "as in the first row")
        return Axis(
            names=tuple(names),
            columns=tuple([row.get(name) for row in rows] for name in names),
        )

    def _read(
        self, table: SourceTable, columns: Mapping[str, str] | None, types: Mapping[str, str]
    ) -> Axis:
        """The columns of all sources of a table, joined in order."""
        wanted = Wanted(
            columns=columns,
            types=types,
            used=self._used.union(types, () if table.known is None else {table.known.key}),
            delimiter=table.delimiter,
        )
        whole: dict[str, list[JsonValue]] = {}
        lines: Sequence[int] = ()
        shown = [table.file or str(table.results)]
        for source in sources_of(table, self._around):
            data = read_data(source, wanted, self._note)
            shown.append(source.shown)
            self.unnamed += data.unnamed
            if not whole:
                whole, lines = dict(data.columns), data.lines
            else:
                _add(whole, data)
                # Line numbers of several files cannot be distinguished.
                lines = ()
        if not whole and self.unnamed:
            raise ValueError(
                f"no name of a column can be a parameter ({show(self.unnamed[0])}, …); set columns "
                "= { parameter = COLUMN }"
            )
        if not any(whole.values()):
            raise SourceMistake(shown[-1], "has no values")
        if table.distinct:
            whole, lines = _distinct(whole, lines)
        if table.known is not None:
            whole, lines = self._new(table.known, whole, lines)
        for name in types:
            if columns is None and name not in whole:
                self._wrong(("rows", "types", name), unknown(name, whole, "parameter"))
        return Axis(
            names=tuple(whole), columns=tuple(whole.values()), source=shown[-1], lines=lines
        )

    def _new(
        self, known: ExceptTable, whole: Mapping[str, list[JsonValue]], lines: Sequence[int]
    ) -> tuple[dict[str, list[JsonValue]], Sequence[int]]:
        """The rows that no earlier batch has."""
        # The values of one parameter are the key, and its name is not.
        column = whole.get(known.key) if len(whole) > 1 else next(iter(whole.values()))
        if column is None:
            raise ValueError(f"except.key: {unknown(known.key, whole, 'parameter')}")
        earlier = EarlierValues(known, self._around)
        kept = [place for place, value in enumerate(column) if value not in earlier]
        rows = {name: [values[place] for place in kept] for name, values in whole.items()}
        return rows, [lines[place] for place in kept] if lines else lines

    def _zipped(
        self, axes: dict[str, Axis], groups: list[str] | list[list[str]] | None
    ) -> dict[str, Axis]:
        """The axes, with those of a group joined at the place of its first parameter."""
        nested = groups is not None and isinstance(next(iter(groups), None), list)
        several: Any = groups if nested else [groups or []]
        for number, names in enumerate(several):
            place: FieldPath = ("zip", number) if nested else ("zip",)
            group: dict[str, Axis] = {}
            for index, name in enumerate(names):
                if name not in axes or name in group:
                    said = unknown(name, axes, "parameter")
                    self._wrong((*place, index), "appears twice" if name in group else said)
                else:
                    group[name] = axes[name]
            # An axis without values has been reported already.
            counts = {name: axis.count for name, axis in group.items() if axis.count}
            if len(set(counts.values())) > 1:
                lengths = ", ".join(f"{name} has {count:,}" for name, count in counts.items())
                self._wrong(place, f"must have equally many values each: {lengths}")
            elif group:
                axes = _joined(axes, group)
        return axes

    def _check_names(self, axes: Mapping[str, Axis]) -> None:
        taken: set[str] = set()
        for place, axis in axes.items():
            for name in axis.names:
                if not is_parameter_name(name):
                    hint = "; set columns = { parameter = COLUMN }" if place == "rows" else ""
                    about = f"{show(name)} " if place == "rows" else ""
                    self._wrong((place,), f"{about}{BAD_NAME}{hint}")
                if name in taken:
                    self._wrong((place,), f"the parameter {name} appears twice")
                taken.add(name)

    def _check_extra(self, extra: Sequence[Cell], known: Sequence[str]) -> None:
        names = known or list(extra[0] if extra else ())
        for index, cell in enumerate(extra):
            self._check_cell(("include", index), cell, names, "as every job")

    def _check_cell(
        self, place: FieldPath, cell: Mapping[str, JsonValue], names: Sequence[str], like: str
    ) -> None:
        for name in cell:
            if name not in names:
                self._wrong((*place, name), unknown(name, names, "parameter"))
        for name in names:
            if name not in cell:
                self._wrong(place, f"must have a value for {name}, {like}")

    def _check_excluded(
        self, excluded: Sequence[Cell], known: Sequence[str], parameters: Mapping[str, Any]
    ) -> None:
        for index, cell in enumerate(excluded):
            if not cell:
                self._wrong(("exclude", index), "would exclude every cell")
            for name, value in cell.items():
                there = parameters.get(name)
                if name not in known:
                    said = unknown(name, known, "parameter")
                    self._wrong(("exclude", index, name), said)
                elif isinstance(there, list) and not _has_any(there, value):
                    values = ", ".join(show(one) for one in there[:5])
                    said = f"{name} has no such value: there are {values}, found {show(value)}"
                    self._wrong(("exclude", index, name), said)


def _has_any(values: Sequence[JsonValue], wanted: JsonValue) -> bool:
    either = [wanted, *(wanted if isinstance(wanted, list) else ())]
    return any(is_same(value, one) for value in values for one in either)


def _add(whole: Mapping[str, list[JsonValue]], data: Data) -> None:
    if data.columns.keys() != whole.keys():
        raise ValueError(
            "the jobs of the other batch have different fields; set columns = [NAME, …]"
        )
    for name, values in data.columns.items():
        whole[name].extend(values)


def _distinct(
    columns: Mapping[str, list[JsonValue]], lines: Sequence[int]
) -> tuple[dict[str, list[JsonValue]], Sequence[int]]:
    """The same columns without rows that are equal to an earlier one, and their lines."""
    seen: set[bytes] = set()
    kept = []
    for index, row in enumerate(zip(*columns.values(), strict=True)):
        sign = orjson.dumps(row)
        if sign not in seen:
            seen.add(sign)
            kept.append(index)
    return (
        {name: [values[index] for index in kept] for name, values in columns.items()},
        [lines[index] for index in kept] if lines else lines,
    )


def _joined(axes: Mapping[str, Axis], group: Mapping[str, Axis]) -> dict[str, Axis]:
    first = next(iter(group))
    # One whose data cannot be read has no values, and so has the group.
    is_whole = all(axis.count for axis in group.values())
    joined = Axis(
        names=tuple(name for axis in group.values() for name in axis.names),
        columns=tuple(
            values if is_whole else [] for axis in group.values() for values in axis.columns
        ),
        source=axes[first].source,
        lines=axes[first].lines,
    )
    return {
        name: joined if name == first else axis
        for name, axis in axes.items()
        if name == first or name not in group
    }


def _sample(given: int | SampleTable | None) -> Sample | None:
    if isinstance(given, SampleTable):
        return Sample(given.count, given.seed)
    return None if given is None else Sample(given)


def _unkept(rows: object, parameters: Mapping[str, Any]) -> frozenset[str]:
    """The parameters whose values are long lists."""
    if isinstance(rows, ItemRowsTable) and rows.chunk is not None:
        return frozenset(fields_of(rows))
    return frozenset(
        name
        for name, values in parameters.items()
        if isinstance(values, ColumnTable) and _is_chunked(values)
    )


def _is_chunked(table: ColumnTable) -> bool:
    return table.chunk_items is not None or table.chunk_bytes is not None


def chunk_edges(values: Sequence[JsonValue], table: ColumnTable) -> list[int]:
    """
    The start of each chunk of a list, and the end of the list.

    Each chunk is filled before the next one begins, so that new values at the end change only the
    last chunk.

    Raises:
        ValueError: one value is larger than a chunk may be.
    """
    most_items = table.chunk_items or len(values)
    most_bytes = table.chunk_bytes or USUAL_CHUNK_BYTES
    edges, size = [0], 0
    for index, value in enumerate(values):
        length = len(orjson.dumps(value)) + 1
        if length > most_bytes:
            raise ValueError(f"the value {show(value)} has more than {most_bytes:,} bytes")
        if index - edges[-1] >= most_items or size + length > most_bytes:
            edges.append(index)
            size = 0
        size += length
    return [*edges, len(values)]
