"""Items are counted in the file, even if the platform's count differs."""

from __future__ import annotations

import csv
import html
import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.collector.item_counter import Counter, RowCounter, counter_of, rows_of_workbook
from orchestrator.model.jobs import ItemsQuery

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CELLS = st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=6)


def counted(query: ItemsQuery, text: bytes, cut: int) -> int | None:
    counter: Counter | None = counter_of(query)
    assert counter is not None
    for start in range(0, len(text), cut):
        counter.feed(text[start : start + cut])
    return counter.rows()


@given(st.lists(VALUES, max_size=6), st.integers(1, 9), st.sampled_from([None, 1]))
def test_items_of_json_are_counted(items: list[object], cut: int, indent: int | None) -> None:
    """Commas and brackets in texts and in nested values are not items."""
    text = json.dumps(items, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert counted(ItemsQuery(format="json"), text, cut) == len(items)


@given(CELLS, st.integers(1, 9), st.booleans(), st.booleans(), st.booleans())
def test_items_of_csv_are_counted(
    rows: list[list[str]], cut: int, has_header: bool, has_bom: bool, ends: bool
) -> None:
    """A line feed in a cell is not an item, and neither is the header."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n", quoting=csv.QUOTE_ALL)
    if has_header:
        writer.writerow(["a", "b"])
    writer.writerows(rows)
    text = page.getvalue().encode("utf-8", "surrogatepass")
    text = (b"\xef\xbb\xbf" if has_bom else b"") + (text if ends else text.rstrip(b"\n"))
    query = ItemsQuery(format="csv", skip_header_row=not has_header)
    assert counted(query, text, cut) == len(rows)


@given(CELLS, st.integers(1, 9))
def test_items_of_html_are_counted(rows: list[list[str]], cut: int) -> None:
    """Tags in a text are not rows."""
    cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    text = "<table><tr><th>a</th></tr>" + "".join(f"<tr>{row}</tr>" for row in cells)
    assert counted(ItemsQuery(format="html"), text.encode("utf-8", "replace"), cut) == len(rows)


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_items_of_xml_and_rss_are_counted(cut: int) -> None:
    """A field that is named like an item is not one."""
    item = "<item><item>1</item><a>2</a></item>"
    text = f'<?xml version="1.0"?>\n<items>\n  {item}\n  {item}\n</items>'.encode()
    assert counted(ItemsQuery(format="xml"), text, cut) == 2
    feed = f"<rss><channel><title>t</title>{item}{item}{item}</channel></rss>".encode()
    assert counted(ItemsQuery(format="rss"), feed, cut) == 3


def test_items_of_invalid_xml_are_unknown() -> None:
    """If keys of items are not valid element names, the platform's count is used."""
    assert counted(ItemsQuery(format="xml"), b"<items><item><a b>1</a b></item></items>", 5) is None


@pytest.mark.parametrize(
    "tags",
    [
        ['<row r="1">', '<row r="2">', '<row r="3">', '<row r="4">'],
        ['<row r="1" spans="1:2">', '<row spans="1:2" r="4">'],
        ["<row>", '<row spans="1:2">', '<row r="3">', "<row>"],
    ],
    ids=["all", "without empty rows", "without numbers"],
)
def test_items_of_a_workbook_are_counted(tags: list[str]) -> None:
    """The items are the rows of the first sheet below its header, also those without a cell."""
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as file:
        rows = "".join(f'{tag}<c r="A9"><v>1</v></c></row>' for tag in tags)
        file.writestr("xl/worksheets/sheet1.xml", f"<worksheet><sheetData>{rows}</sheetData>")
    assert rows_of_workbook(book) == 3
    assert rows_of_workbook(io.BytesIO(b"no workbook")) is None


def test_items_of_a_damaged_workbook_are_unknown() -> None:
    """Bytes that a gateway has changed inside the sheet are no reason to stop the batch."""
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/worksheets/sheet1.xml", "<row r='1'/>" * 1000)
    data = book.getvalue()
    start = 30 + len("xl/worksheets/sheet1.xml")
    assert rows_of_workbook(io.BytesIO(data[:start] + b"\xff" * 9 + data[start + 9 :])) is None
    encrypted = data[:6] + b"\x01" + data[7:]
    central = encrypted.index(b"PK\x01\x02")
    encrypted = encrypted[: central + 8] + b"\x01" + encrypted[central + 9 :]
    assert rows_of_workbook(io.BytesIO(encrypted)) is None


def test_tags_of_rows_may_be_cut() -> None:
    """The pieces of a sheet end anywhere."""
    counter = RowCounter()
    for letter in b'<sheetData><row r="1"><c/></row><row spans="1:9" r="12"><c/></row></sheetData>':
        counter.feed(bytes([letter]))
    assert counter.rows() == 11
