"""
The columns of a table: their kinds, and the names of our own columns.

A shape grows with each item; a layout is the state of a shape at one moment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.results.column_kinds import Kind, joined, kind_of

MOST_FIELDS = 5000
"""The most columns for fields; an item with a further field is kept whole in one column."""

JOB = "job"
RUN = "run"
BATCH = "batch"
OCCURRENCE = "occurrence"
ITEM = "item"
NULLS = "null"
PARAM = "param"
FIELD = "field"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """
    A column of a table.

    Attributes:
        name: its name in the table.
        origin: the source of its values: the job, the run, a parameter, a field of the items, …
        of: the name of the parameter or field.
        empty: the meaning of a cell without a value: "missing", "null", or "either"; then the
            column of nulls names the null fields.
    """

    name: str
    origin: str
    of: str = ""
    kind: Kind = Kind.TEXT
    empty: str = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """
    The columns of a table.

    Attributes:
        unique, partition_by: those columns that a spec names for it and that there are; None where
            not all of `unique` are.
    """

    columns: tuple[Column, ...]
    unique: tuple[Column, ...] | None
    partition_by: tuple[Column, ...]
    lacking: tuple[str, ...]

    def ours(self) -> list[Column]:
        """The columns that are not fields of items."""
        return [column for column in self.columns if column.origin != FIELD]


@dataclass(slots=True)
class _Seen:
    kind: Kind = Kind.NOTHING
    is_missing: bool = False
    is_null: bool = False

    @property
    def empty(self) -> str:
        if self.is_null:
            return "either" if self.is_missing else "null"
        return "missing"


@dataclass(slots=True, kw_only=True)
class Shape:
    """
    The knowledge about a table so far.

    Attributes:
        as_text: whether items keep their text, so that the kinds of fields do not matter.
        has_batches: whether columns name the batch of an item.
        types: the types of fields in the spec.
        has_odd: whether an item is kept whole in a column.
        names: the names of the known fields.
    """

    as_text: bool
    has_batches: bool = False
    types: Mapping[str, Kind] = field(default_factory=dict)
    unique: Sequence[str] = ()
    partition_by: Sequence[str] = ()
    has_odd: bool = False
    names: set[str] = field(default_factory=set)
    _fields: dict[str, _Seen] = field(default_factory=dict)
    _params: dict[str, Kind] = field(default_factory=dict)
    _rows: int = 0

    def __len__(self) -> int:
        return len(self._fields)

    def take_names(self, names: Iterable[str]) -> set[str]:
        """Learns names of fields; returns the names beyond the limit."""
        refused: set[str] = set()
        bases = self._bases()
        for name in names:
            if name in self._fields:
                continue
            # Fields that may collide with our columns always count.
            if len(self._fields) < MOST_FIELDS or name.lstrip("_") in bases:
                self._fields[name] = _Seen(is_missing=self._rows > 0)
                self.names.add(name)
            else:
                refused.add(name)
        return refused

    def learn(self, name: str, values: list[Any], items: list[dict[str, Any]]) -> None:
        """
        Learns the kind of a field.

        Args:
            values: the value in each item, or None.
        """
        seen = self._fields[name]
        seen.kind = joined(seen.kind, kind_of(values))
        if seen.is_missing and seen.is_null:
            return
        empty = values.count(None)
        if empty:
            missing = len(items) - sum(name in item for item in items)
            seen.is_missing = seen.is_missing or missing > 0
            seen.is_null = seen.is_null or empty > missing

    def learn_rows(self, names: Collection[str], rows: int) -> None:
        """Learns that this many items have only fields of these names."""
        self._rows += rows
        if rows:
            for name in self.names.difference(names):
                self._fields[name].is_missing = True

    def learn_params(self, params: Mapping[str, Any]) -> None:
        """Learns the parameters of a job."""
        for name, value in params.items():
            self._params[name] = joined(self._params.get(name, Kind.NOTHING), kind_of([value]))

    def layout(self) -> Layout:
        """The columns that are known so far."""
        ours = self._our_columns()
        fields = [
            Column(
                name=name,
                origin=FIELD,
                of=name,
                kind=self.types.get(name, seen.kind),
                empty=seen.empty,
            )
            for name, seen in self._fields.items()
        ]
        columns = (*ours, *fields)
        by_name = {column.name: column for column in columns}
        lacking = [name for name in (*self.unique, *self.partition_by) if name not in by_name]
        # Only fields are converted.
        lacking += [name for name in self.types if name not in self._fields]
        has_unique = all(name in by_name for name in self.unique)
        return Layout(
            columns=columns,
            unique=tuple(by_name[name] for name in self.unique) if has_unique else None,
            partition_by=tuple(by_name[n] for n in self.partition_by if n in by_name),
            lacking=tuple(dict.fromkeys(lacking)),
        )

    def _our_columns(self) -> list[Column]:
        taken = set(self._fields)
        lead = "_"
        while lead + JOB in taken or lead + RUN in taken:
            lead += "_"
        columns = [Column(name=lead + JOB, origin=JOB), Column(name=lead + RUN, origin=RUN)]
        taken |= {column.name for column in columns}

        def add(name: str, origin: str, of: str = "", kind: Kind = Kind.TEXT) -> None:
            while name in taken:
                name = f"_{name}"
            taken.add(name)
            columns.append(Column(name=name, origin=origin, of=of, kind=kind))

        if self.has_batches:
            add("_batch", BATCH)
            add("_occurrence", OCCURRENCE)
        for param in self._params:
            add(param, PARAM, of=param, kind=self._params[param])
        if self.has_odd:
            add("_item", ITEM)
        if not self.as_text and any(seen.empty == "either" for seen in self._fields.values()):
            add("_null", NULLS)
        return columns

    def _bases(self) -> set[str]:
        ours = {JOB, RUN, BATCH, OCCURRENCE, ITEM, NULLS}
        return ours | {param.lstrip("_") for param in self._params}
