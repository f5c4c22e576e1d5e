"""The tables of `[jobs.matrix]` as pydantic models."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, JsonValue, Tag, model_validator

from orchestrator.specfile.diagnostics import nearest, show
from orchestrator.specfile.field_types import Listed, Positive, Table, Text

ValueType = Literal["text", "int", "float", "bool", "json"]
Encoding = Literal[
    "utf-8", "utf-16", "latin-1", "cp1250", "cp1251", "cp1252", "shift_jis", "euc_jp", "euc_kr",
    "gb18030", "big5",
]  # fmt: skip
LARGEST_CHUNK = 8_000_000


def _day(value: str) -> str:
    try:
        # `fromisoformat` also takes `20261101` and `2026-W45-1`; one way to write a day is enough.
        if len(value) == len("2026-11-01"):
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise ValueError(f'expected a day such as "2026-11-01", found {show(value)}')


def _one_file(name: str) -> str:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", name):
        raise ValueError(
            f"an address is not read, found {show(name)}; download it first, and name the file"
        )
    if "*" in name:
        raise ValueError(
            f"a pattern of names is not read, found {show(name)}; "
            "join the files and name the result"
        )
    return name


FileName = Annotated[Text, AfterValidator(_one_file)]
Day = Annotated[str, AfterValidator(_day)]


class RangeTable(Table):
    """Numbers in steps."""

    range: Annotated[list[float | int], Field(min_length=2, max_length=3)]
    """The first and last number, both included; a third number is the step (1)."""

    @model_validator(mode="after")
    def _step_leads_on(self) -> RangeTable:
        if len(self.range) == 3 and self.range[2] == 0:
            raise ValueError("the step of a range must not be 0")
        return self


class DatesTable(Table):
    """Days, as text such as `2026-11-01`."""

    dates: Annotated[list[Day], Field(min_length=2, max_length=2)]
    """The first and the last day, both included."""
    step_days: Positive = 1
    """The number of days from one to the next (1)."""


class ExceptTable(Table):
    """What earlier batches have, and what is therefore not new."""

    results: Text
    """The name of the batches; those that have ended count, or were stopped by their own rules."""
    key: Text
    """
    The parameter of a row, and the field of items or parameter of jobs that succeeded: a row whose
    value one of them has is left out.
    """


class SourceTable(Table):
    """Data outside the spec."""

    file: FileName | None = None
    """
    A CSV, Excel, JSON, JSON Lines, Parquet or text file, relative to the spec; `-` is standard
    input. It may be packed by gzip or zip.
    """
    results: Text | None = None
    """The items of another batch: `NAME` (its latest, which must have ended) or `NAME/ID`."""
    format: Literal["csv", "excel", "json", "jsonl", "parquet", "text"] | None = None
    """The format of the file. Default: by its first bytes, else by its ending."""
    encoding: Encoding = "utf-8"
    """The encoding of a CSV, JSON or text file. Default: UTF-16 by its first bytes, else utf-8."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """
    The character between the cells of CSV. Default: that of a first line `sep=`; else `;`, a tab or
    `|` if the names of the columns have it and no comma; else a comma.
    """
    distinct: bool = False
    """Leaves out rows that are equal to an earlier one (false)."""
    known: Annotated[ExceptTable | None, Field(alias="except")] = None
    """Leaves out rows that earlier batches already have: `{ results = NAME, key = FIELD }`."""

    @model_validator(mode="after")
    def _one_source(self) -> SourceTable:
        if (self.file is None) == (self.results is None):
            raise ValueError("expected either file or results")
        return self


class ColumnTable(SourceTable):
    """The values of one parameter, from outside the spec."""

    column: Text | None = None
    """
    The column, or the field of each object. Default: each line of text or element is a value.
    """
    type: ValueType | None = None
    """The type that each value must have. Default: text for CSV and text files."""
    chunk_items: Positive | None = None
    """
    Groups the values into lists of this length, for long lists in an input. `NAME_chunk` is the
    number of the list, from 1.
    """
    chunk_bytes: Annotated[int, Field(gt=0, le=LARGEST_CHUNK)] | None = None
    """
    Groups the values into lists of at most this many bytes as JSON (4,000,000 if `chunk_items` is
    set).
    """


class RowsTable(SourceTable):
    """Rows from outside the spec: each column is a parameter."""

    columns: list[Text] | dict[str, Text] | None = None
    """
    The columns to use: their names, or a table from parameters to columns. Default: all whose names
    a template can use.
    """
    types: dict[str, ValueType] = Field(default_factory=dict)
    """
    The type of the values of each parameter: text, int, float, bool or json.
    """


class ItemRowsTable(Table):
    """Rows that are the items of other jobs of the same batch: each gives a job, or `chunk` do."""

    needs: Annotated[list[Text], Field(min_length=1), Listed()]
    """
    Keys, or shell patterns of keys, of the jobs whose items are the rows. The jobs of each one are
    made when it has succeeded.
    """
    fields: Annotated[list[Text], Field(min_length=1)] | dict[str, Text]
    """
    The fields of an item that are parameters: their names, or a table from parameters to fields.
    """
    where: Text | None = None
    """
    An expression such as `"price > 10"`: only items for which it is true are rows. A field that an
    item does not have is false.
    """
    distinct: bool = False
    """Takes equal rows only once, from whichever jobs they come (false)."""
    known: Annotated[ExceptTable | None, Field(alias="except")] = None
    """Leaves out rows that earlier batches already have: `{ results = NAME, key = FIELD }`."""
    chunk: Positive | None = None
    """
    Puts this many rows of one needed job into a job: each parameter is then the list of its values.
    `chunk` is the number of the list, from 1.
    """
    output: bool = False
    """
    Takes the output record of the jobs as rows: a list of tables, or one table (false: the items).
    """


SOURCE, CHUNK = "source", "chunk"
"""Parameters of a row beside its fields: the key of its job, and the number of its chunk."""


def fields_of(rows: ItemRowsTable) -> dict[str, str]:
    """The field of an item that each parameter has."""
    fields = rows.fields
    return fields if isinstance(fields, dict) else {name: name for name in fields}


def row_names(rows: ItemRowsTable) -> tuple[str, ...]:
    """The parameters of a row of items."""
    own = (SOURCE,) if rows.chunk is None else (SOURCE, CHUNK)
    return tuple(dict.fromkeys((*fields_of(rows), *own)))


class SampleTable(Table):
    """A choice of the combinations."""

    count: Positive
    """The number of combinations to keep."""
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    """Another seed keeps others; the order of values does not matter (0)."""


KINDS: dict[str, type[Table]] = {
    "a range": RangeTable,
    "dates": DatesTable,
    "a file": ColumnTable,
}


def values_fields() -> list[str]:
    """The fields that the table of a parameter may have, of any kind."""
    return [name for table in KINDS.values() for name in table.model_fields]


def _kind_of_values(value: Any) -> str | None:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, Table):
        return next(kind for kind, table in KINDS.items() if isinstance(value, table))
    if not isinstance(value, dict):
        return None
    # The nearest names: a misspelt field is then reported as such, not as an unknown kind.
    names = {nearest(name, values_fields()) for name in value}
    return next((kind for kind, table in KINDS.items() if names & table.model_fields.keys()), None)


ParameterValues = Annotated[
    Annotated[list[JsonValue], Field(min_length=1), Tag("a list")]
    | Annotated[RangeTable, Tag("a range")]
    | Annotated[DatesTable, Tag("dates")]
    | Annotated[ColumnTable, Tag("a file")],
    Discriminator(
        _kind_of_values,
        custom_error_type="values_type",
        custom_error_message="Expected a list of values or a table of them",
    ),
]


def _kind_of_rows(value: Any) -> str:
    if isinstance(value, dict):
        # A wrong name in place of `needs` is then the mistake, and not the right ones beside it.
        is_of_items = "needs" in value or ("file" not in value and "results" not in value)
        of_items = ItemRowsTable.model_fields.keys() - RowsTable.model_fields.keys()
        return "items" if is_of_items and value.keys() & of_items else "a file"
    if isinstance(value, Table):
        return "items" if isinstance(value, ItemRowsTable) else "a file"
    return "a list"


def _is_table(value: Any) -> str:
    return "a table" if isinstance(value, dict | Table) else "a number"


class MatrixTable(Table, extra="allow"):
    """Parameters and their values; every combination is a job."""

    __pydantic_extra__: dict[str, ParameterValues]  # pyright: ignore[reportIncompatibleVariableOverride]

    zip: list[Text] | list[list[Text]] | None = None
    """Names of parameters that go in step instead of being combined; or several such lists."""
    rows: (
        Annotated[
            Annotated[list[dict[str, JsonValue]], Field(min_length=1), Tag("a list")]
            | Annotated[RowsTable, Tag("a file")]
            | Annotated[ItemRowsTable, Tag("items")],
            Discriminator(_kind_of_rows),
        ]
        | None
    ) = None
    """
    Tables of parameters, here or in a file: each one is combined with the other parameters. Or the
    items of other jobs.
    """
    include: list[dict[str, JsonValue]] | None = None
    """Cells more, each a table with a value for every parameter; neither excluded nor sampled."""
    exclude: list[dict[str, JsonValue]] | None = None
    """
    Leaves out the combinations that have all values of one of these tables; a list is any of its
    values.
    """
    sample: (
        Annotated[
            Annotated[Positive, Tag("a number")] | Annotated[SampleTable, Tag("a table")],
            Discriminator(_is_table),
        ]
        | None
    ) = None
    """Takes so many of the combinations: a number, or `{ count, seed }`."""


def data_of(matrix: MatrixTable | None) -> list[SourceTable]:
    """The data outside the spec that a matrix reads."""
    if matrix is None:
        return []
    sources = [matrix.rows, *(matrix.__pydantic_extra__ or {}).values()]
    return [one for one in sources if isinstance(one, SourceTable)]


def excepts_of(matrix: MatrixTable | None) -> list[ExceptTable]:
    """Which earlier batches have what is not new, for each source of a matrix."""
    found = [one.known for one in data_of(matrix)]
    if matrix is not None and isinstance(matrix.rows, ItemRowsTable):
        found.append(matrix.rows.known)
    return [known for known in found if known is not None]


def may_be_empty(matrix: MatrixTable | None) -> bool:
    """Whether a matrix may have no row because nothing is new."""
    return any(one.known is not None for one in data_of(matrix))
