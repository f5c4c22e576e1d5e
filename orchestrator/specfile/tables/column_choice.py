"""Which columns of a source are read, under which names, and the lines of its text."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pydantic import JsonValue

from orchestrator.specfile.diagnostics import show, unknown
from orchestrator.specfile.parameters import is_parameter_name
from orchestrator.specfile.tables.data_source import Source
from orchestrator.specfile.tables.source_mistake import SourceMistake

MOST_VALUES = 8_000_000
WHOLE = ""
"""The name of the one column of a source without columns: lines of text, or elements."""

Report = Callable[[SourceMistake], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    The part of a source to read.

    Attributes:
        columns: by parameter; None for all that can be parameters, each under its own name.
        types: by parameter.
        used: the parameters that the job uses; others may be missing in a row.
        delimiter: of CSV; None to recognise it.
        most_values: how many values memory should hold.
    """

    columns: Mapping[str, str] | None
    types: Mapping[str, str]
    used: Collection[str] = ()
    delimiter: str | None = None
    most_values: int = MOST_VALUES


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """
    Columns of values, all of one length.

    Attributes:
        columns: by parameter.
        lines: the line of each row, counted from 1; empty if the format has none.
        unnamed: columns whose names templates cannot use, so they are left out.
    """

    columns: Mapping[str, list[JsonValue]]
    lines: Sequence[int] = ()
    unnamed: Sequence[str] = field(default=())


def chosen(source: Source, wanted: Wanted, there: Sequence[str], line: int = 1) -> dict[str, str]:
    """
    The columns to read, by parameter.

    Args:
        there: the names of all columns, in order; a blank name is that of no column.
        line: the line that has the names.

    Raises:
        SourceMistake: a column is not there.
    """
    if wanted.columns is None:
        repeated = set()
        if len(set(there)) < len(there):
            repeated = {name for name in there if there.count(name) > 1}
        # A column that appears twice is a mistake only where it is used.
        return {
            name: name
            for name in dict.fromkeys(there)
            if is_parameter_name(name) and (name not in repeated or name in wanted.used)
        }
    for name in wanted.columns.values():
        if name is WHOLE:
            columns = " or ".join(show(column) for column in there[:5])
            raise SourceMistake(source.shown, f"choose a column: column = {columns}")
        if name not in there:
            raise SourceMistake(source.shown, unknown(name, filter(None, there), "column"), line)
    return dict(wanted.columns)


def unnamed(wanted: Wanted, there: Sequence[str]) -> list[str]:
    """The columns that have a name which templates cannot use."""
    if wanted.columns is not None:
        return []
    return [name for name in there if name and not is_parameter_name(name)]


def lines_of(source: Source) -> Iterator[str]:
    """The lines of a text with their ends, decoded one after the other."""
    # Spreadsheets write a byte order mark, which would become part of the first column's name.
    name = "utf-8-sig" if source.encoding == "utf-8" else source.encoding
    try:
        yield from io.TextIOWrapper(io.BytesIO(source.content), name, newline="")
    # UTF-16 cut in the middle of a letter is a UnicodeError of its own.
    except UnicodeError:
        raise _not_decoded(source, name) from None


def line_text(source: Source, line: int | None) -> str:
    """The text of a line, counted from 1; empty if the format has no lines."""
    if line is None or source.format in ("excel", "parquet"):
        return ""
    try:
        return next(islice(lines_of(source), line - 1, line), "")
    except SourceMistake:
        return ""


def _not_decoded(source: Source, encoding: str) -> SourceMistake:
    try:
        source.content.decode(encoding)
    except UnicodeDecodeError as error:
        # The place in the message does not count a byte order mark.
        skipped = len(source.content) - len(error.object)
        start = error.start + skipped
        before = source.content[:start]
        return SourceMistake(
            source.shown,
            f"is not text in {encoding.removesuffix('-sig')}: found the byte "
            f'0x{source.content[start]:02x}; set its encoding, such as encoding = "cp1252"',
            before.count(b"\n") + 1,
            start - before.rfind(b"\n"),
        )
    except UnicodeError:
        pass
    return SourceMistake(source.shown, f"is not text in {encoding}")


def refuse_too_many(source: Source, wanted: Wanted, values: int) -> None:
    """Raises SourceMistake when there are more values than memory should hold."""
    if values > wanted.most_values:
        raise SourceMistake(
            source.shown,
            f"has more than {wanted.most_values:,} values; read fewer columns, or split it",
        )
