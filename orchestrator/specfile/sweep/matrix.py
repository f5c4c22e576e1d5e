"""The tables of `[jobs.matrix]` as pydantic models."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, JsonValue, Tag, model_validator

from orchestrator.specfile.diagnostics import nearest, show
from orchestrator.specfile.field_types import Positive, Table, Text

VALUES_WORDS = (
    "a list of values, { range = [first, last] }, { dates = [first, last] } or { file = NAME }"
)
ValueType = Literal["text", "int", "float", "bool", "json"]
Encoding = Literal[
    "utf-8", "utf-16", "latin-1", "cp1250", "cp1251", "cp1252", "shift_jis", "euc_jp", "euc_kr",
    "gb18030", "big5",
]  # fmt: skip
LARGEST_CHUNK = 8_000_000


def _day(value: str) -> str:
    try:
        if len(value) == len("2026-11-01"):
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise ValueError(f'expected a day such as "2026-11-01", found {show(value)}')


Day = Annotated[str, AfterValidator(_day)]


class RangeTable(Table):
    """Numbers in steps."""

    range: Annotated[list[float | int], Field(min_length=2, max_length=3)]
    """First and last, both included; a third number is the step (1)."""

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
    """Days from one to the next."""


class SourceTable(Table):
    """Data outside the spec."""

    file: Text | None = None
    """
    A CSV, JSON, JSON Lines, Parquet or text file, relative to the spec; `-` is standard input.
    """
    results: Text | None = None
    """The items that another batch has collected: `NAME` (its latest) or `NAME/ID`."""
    format: Literal["csv", "json", "jsonl", "parquet", "text"] | None = None
    """Of the file; by default its ending tells."""
    encoding: Encoding = "utf-8"
    """Of a CSV, JSON Lines or text file."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """Between the cells of CSV."""

    @model_validator(mode="after")
    def _one_source(self) -> SourceTable:
        if (self.file is None) == (self.results is None):
            raise ValueError("give file or results, one of them")
        return self


class ColumnTable(SourceTable):
    """The values of a parameter that stand outside the spec, one after the other."""

    column: Text | None = None
    """
    The column, or the field of each object; without it, a line of text or an element is a value.
    """
    type: ValueType | None = None
    """What a value must be, and text is read as. By default CSV and text files have text."""
    chunk_items: Positive | None = None
    """
    Makes the values lists of so many, for long lists in an input; `NAME_chunk` counts them from 1.
    """
    chunk_bytes: Annotated[int, Field(gt=0, le=LARGEST_CHUNK)] | None = None
    """
    Makes the values lists of at most so many bytes as JSON (4,000,000 where chunk_items is given).
    """


class RowsTable(SourceTable):
    """Rows that stand outside the spec: each column is a parameter."""

    columns: list[Text] | dict[str, Text] | None = None
    """
    The columns to take (all): their names, or a table of parameters and the columns they stand in.
    """
    types: dict[str, ValueType] = Field(default_factory=dict)
    """
    What the values must be, and text is read as, by parameter: text, int, float, bool or json.
    """


class SampleTable(Table):
    """A choice of the combinations."""

    count: Positive
    """How many of the combinations to take."""
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    """Another seed takes others. The same seed and values give the same, whatever their order."""


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


def _is_listed(value: Any) -> str:
    return "a file" if isinstance(value, dict | Table) else "a list"


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
            | Annotated[RowsTable, Tag("a file")],
            Discriminator(_is_listed),
        ]
        | None
    ) = None
    """Tables of parameters, here or in a file: each one is combined with the other parameters."""
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
