"""How items are written in each format, in pieces."""

from __future__ import annotations

import csv
import html
import io
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from apify_emulator.storages.item_transform import Item, leaves

Blocks: TypeAlias = "Iterable[list[Item]]"
MAX_COLUMNS = 2000
_NOT_IN_XML_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """
    The parameters of a format.

    Attributes:
        bom: None for the default of the format: only csv begins with a byte order mark.
        fields: which a table has, in this order; empty for those of the items.
    """

    delimiter: str = ","
    bom: bool | None = None
    has_header: bool = True
    fields: tuple[str, ...] = ()
    xml_root: str = "items"
    xml_row: str = "item"
    feed_title: str = ""
    feed_description: str = ""


def as_jsonl(read_blocks: Callable[[], Blocks], options: FormatOptions) -> Iterator[bytes]:
    """Yields a JSON object per line."""
    if options.bom:
        yield BOM_UTF8
    for block in read_blocks():
        yield b"".join(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in block)


def as_json(read_blocks: Callable[[], Blocks], options: FormatOptions) -> Iterator[bytes]:
    """Yields a JSON array."""
    yield BOM_UTF8 + b"[" if options.bom else b"["
    is_first = True
    for block in read_blocks():
        if block:
            yield (b"" if is_first else b",") + orjson.dumps(block)[1:-1]
            is_first = False
    yield b"]"


def as_csv(read_blocks: Callable[[], Blocks], options: FormatOptions) -> Iterator[bytes]:
    """Yields a table with a header; nested values become columns like `a/b`."""
    columns = columns_of(read_blocks(), options.fields)
    if options.bom is not False:
        yield BOM_UTF8
    page = io.StringIO()
    writer = csv.writer(page, delimiter=options.delimiter, lineterminator="\n")
    if options.has_header:
        writer.writerow(columns)
    for block in read_blocks():
        for item in block:
            row = flat(item)
            writer.writerow([cell_text(row.get(name)) for name in columns])
        yield _taken(page)
    yield _taken(page)


def as_html(read_blocks: Callable[[], Blocks], options: FormatOptions) -> Iterator[bytes]:
    """Yields a page with one table."""
    columns = columns_of(read_blocks(), options.fields)
    yield (BOM_UTF8 if options.bom else b"") + b"<!DOCTYPE html><html><body><table>"
    if options.has_header:
        yield _html_row(columns, "th")
    for block in read_blocks():
        for item in block:
            row = flat(item)
            yield _html_row((cell_text(row.get(name)) for name in columns), "td")
    yield b"</table></body></html>"


def as_xml(read_blocks: Callable[[], Blocks], options: FormatOptions) -> Iterator[bytes]:
    """Yields an element per item."""
    root, name = _xml_name(options.xml_root), _xml_name(options.xml_row)
    yield (
        BOM_UTF8 if options.bom else b""
    ) + f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>'.encode()
    for block in read_blocks():
        yield "".join(f"\n  {_xml(name, item)}" for item in block).encode()
    yield f"\n</{root}>".encode()


def as_rss(read_blocks: Callable[[], Blocks], options: FormatOptions) -> Iterator[bytes]:
    """Yields a feed with an entry per item."""
    title, about = _xml_text(options.feed_title), _xml_text(options.feed_description)
    yield (BOM_UTF8 if options.bom else b"") + (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel>'
        f"<title>{title}</title><description>{about}</description>"
    ).encode()
    for block in read_blocks():
        yield "".join(_xml("item", item) for item in block).encode()
    yield b"</channel></rss>"


Writer: TypeAlias = "Callable[[Callable[[], Blocks], FormatOptions], Iterator[bytes]]"
WRITERS: dict[str, tuple[Writer, str]] = {
    "json": (as_json, "application/json; charset=utf-8"),
    "jsonl": (as_jsonl, "application/jsonl; charset=utf-8"),
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "html": (as_html, "text/html; charset=utf-8"),
    "xml": (as_xml, "application/xml; charset=utf-8"),
    "rss": (as_rss, "application/rss+xml; charset=utf-8"),
}


def columns_of(blocks: Blocks, fields: tuple[str, ...] = ()) -> list[str]:
    """
    Returns the columns of a table with these items, in the order of their first use.

    Args:
        fields: only these, in this order, each with its nested columns or else as one column.
    """
    columns: dict[str, None] = {}
    of_field: dict[str, dict[str, None]] = {name: {} for name in fields}
    for block in blocks:
        for item in block:
            if not fields:
                columns.update(dict.fromkeys(flat(item)))
            for name in fields:
                if name in item:
                    of_field[name].update(dict.fromkeys(flat({name: item[name]})))
    for name, inner in of_field.items():
        columns.update(inner or {name: None})
    return list(columns)[:MAX_COLUMNS]


def flat(item: Item) -> Item:
    """Returns an item with columns like `a/b` for its nested values."""
    row: Item = {}
    for name, value in item.items():
        if isinstance(value, (dict, list)):
            row.update(leaves(name, value, "/"))
        else:
            row[name] = value
    return row


def cell_text(value: Any) -> str:
    """Returns the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _taken(page: io.StringIO) -> bytes:
    text = page.getvalue()
    page.seek(0)
    page.truncate()
    return text.encode()


def _html_row(cells: Iterable[str], tag: str) -> bytes:
    inner = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{inner}</tr>".encode()


def _xml_name(text: str) -> str:
    name = _NOT_IN_XML_NAME.sub("_", text) or "_"
    return name if name[0].isalpha() or name[0] == "_" else f"_{name}"


def _xml_text(text: str) -> str:
    return html.escape(_NOT_IN_XML.sub("", text), quote=False)


def _xml(name: str, value: Any) -> str:
    tag = _xml_name(name)
    if isinstance(value, dict):
        return f"<{tag}>{''.join(_xml(key, inner) for key, inner in value.items())}</{tag}>"
    if isinstance(value, list):
        return "".join(_xml(name, inner) for inner in value)
    return f"<{tag}>{_xml_text(cell_text(value))}</{tag}>"
