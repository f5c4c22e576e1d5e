from __future__ import annotations

import gzip
import io
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

# ruff: noqa: ISC004 - the sentences are long
from tests.support.specs import jobs_of, mistakes_of

HEAD = '[batch]\nname = "b"\n[[jobs]]\nname = "{{ id | slug }}"\nactor = "a/b"\n[jobs.matrix]\n'
TEXT = "id,name\n1,Zoé\n2,Bob\n"
READ = [{"id": "1", "name": "Zoé"}, {"id": "2", "name": "Bob"}]


def params(folder: Path, content: bytes, rows: str = 'file = "d.csv"') -> list[Any]:
    """The parameters of the jobs of a data file."""
    (folder / "d.csv").write_bytes(content)
    return [job.params for job in jobs_of(folder, f"{HEAD}rows = {{ {rows} }}\n")]


def zipped(**files: str) -> bytes:
    """An archive with some files."""
    whole = io.BytesIO()
    with ZipFile(whole, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), text)
    return whole.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        ("sep=;\r\n" + TEXT.replace(",", ";")).encode(),
        ("sep=\t\n" + TEXT.replace(",", "\t")).encode("utf-16"),
        gzip.compress(TEXT.encode()),
        zipped(d_csv=TEXT, MACOSX="").replace(b"MACOSX", b"MACOS/"),
        b"id,name,,\n1,Zo\xc3\xa9,,\n2,Bob,,\n,,,\n,,,\n",
        b"id,name,x,x\n1,Zo\xc3\xa9,a,b\n2,Bob,c,d\n",
        b"id,name,Last order\n1,Zo\xc3\xa9,a\n2,Bob,b\n",
    ],
    ids=[
        "utf-8", "mark", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "semicolon", "tab", "sep",
        "utf-16-sep-tab", "gzip", "zip", "blank-columns-and-rows", "doubled-column", "odd-name",
    ],
)  # fmt: skip
def test_table_is_read_as_people_have_it(tmp_path: Path, content: bytes) -> None:
    """Delimiter, encoding and packing are recognised; unused columns do not matter."""
    assert params(tmp_path, content) == READ


def test_name_of_a_packed_file_tells_its_format(tmp_path: Path) -> None:
    """A list of lines that was packed is still a list of lines."""
    (tmp_path / "u.txt.gz").write_bytes(gzip.compress(b"a\nb\n"))
    jobs = jobs_of(tmp_path, HEAD + 'id = { file = "u.txt.gz" }\n')
    assert [job.key for job in jobs] == ["a", "b"]


def test_cell_may_be_as_large_as_an_input(tmp_path: Path) -> None:
    """A page of HTML in a cell is read, whether a template uses it or not."""
    (first,) = params(tmp_path, b'id,html\n1,"' + b"x" * 500_000 + b'"\n')
    assert len(first["html"]) == 500_000


def test_equal_rows_are_left_out_on_request(tmp_path: Path) -> None:
    """`distinct` keeps the first of equal rows, by the columns that are read."""
    content = b"id,name\n1,A\n2,B\n1,A\n1,C\n"
    rows = 'file = "d.csv", columns = ["id"], distinct = true'
    assert params(tmp_path, content, rows) == [{"id": "1"}, {"id": "2"}]
    (tmp_path / "u.txt").write_text("a\nb\na\nc\n")
    text = HEAD.replace("id | slug", "id_chunk")
    text += 'id = { file = "u.txt", distinct = true, chunk_items = 2 }\n'
    assert [job.key for job in jobs_of(tmp_path, text)] == ["1", "2"]


def test_lines_are_right_after_equal_rows_were_left_out(tmp_path: Path) -> None:
    """A mistake in a later row names the line of the file."""
    (tmp_path / "d.csv").write_text("id\na\na\nA\n")
    (said,) = mistakes_of(tmp_path, HEAD + 'rows = { file = "d.csv", distinct = true }\n')
    assert said.endswith('jobs[0] where id = "a", d.csv:2, and jobs[0] where id = "A", d.csv:4')


def test_item_may_lack_a_field_that_is_not_used(tmp_path: Path) -> None:
    """Items of other batches often have different fields; only those in templates must be there."""
    (tmp_path / "d.jsonl").write_text('{"id":"a","x":1}\n{"id":"b"}\n')
    rows = 'rows = { file = "d.jsonl" }\n'
    jobs = jobs_of(tmp_path, HEAD + rows)
    assert [job.params for job in jobs] == [{"id": "a", "x": 1}, {"id": "b", "x": None}]
    used = HEAD.replace("| slug }}", "| slug }}-{{ x }}")
    assert mistakes_of(tmp_path, used + rows) == ['d.jsonl:2: has no column "x"']


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped(a_csv="", b_csv=""),
            "d.csv: has 2 files in it: a.csv, b.csv; unpack it and name one of them"),
        (gzip.compress(TEXT.encode())[:-9], "d.csv: cannot be unpacked: "),
        (b"BZh91AY", "d.csv: is packed with bzip2; unpack it, or use gzip or zip"),
        (b"%PDF-1.7", "d.csv: is a PDF document; export the data as CSV"),
        (b"\n<!DOCTYPE html><html>", "d.csv: is a page in HTML, perhaps of a login; download or "
            "export the data itself"),
        (b'id,n\n1,2\n3,"4\n5,6\n', "d.csv:3:3: a cell opens with a quote here and has no closing "
            "quote; write a quote inside a cell twice"),
        (b'sep=;\nid;n\n1;"a\nb"\n3;"4\n5;"6"\n', "d.csv:5:3: a cell opens with a quote here, and "
            "text follows its closing quote in line 6; write a quote inside a cell twice"),
    ],
    ids=["two-files", "cut", "bzip2", "pdf", "html", "unclosed", "closed-late"],
)  # fmt: skip
def test_file_that_cannot_be_read_names_the_cure(tmp_path: Path, content: bytes, said: str) -> None:
    """The message says what the file is, and what to do."""
    (tmp_path / "d.csv").write_bytes(content)
    found = mistakes_of(tmp_path, HEAD + 'rows = { file = "d.csv" }\n')
    assert len(found) == 1
    assert found[0].removeprefix("spec.toml:7:1: jobs[0].matrix.rows: ").startswith(said)


def test_small_archive_of_a_huge_file_is_refused(tmp_path: Path) -> None:
    """A file that grows when it is unpacked never fills the memory."""
    (tmp_path / "d.csv").write_bytes(gzip.compress(b"a\n" * (64 * 1024 * 1024 + 1), 1))
    assert mistakes_of(tmp_path, HEAD + 'rows = { file = "d.csv" }\n') == [
        "spec.toml:7:1: jobs[0].matrix.rows: d.csv: has more than 134,217,728 bytes; split it"
    ]


def workbook(folder: Path, name: str) -> None:
    """A workbook with two sheets, of which the first has a table below a blank row."""
    xlsxwriter = pytest.importorskip("xlsxwriter")
    with xlsxwriter.Workbook(str(folder / name)) as book:
        sheet = book.add_worksheet()
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(1, 0, ["id", "price", "", "code"])
        sheet.write_row(2, 0, [1, 2.5, "", "007"])
        sheet.write_row(4, 0, [2, True, "", 8])
        sheet.write(1, 4, "day")
        sheet.write_datetime(2, 4, date(2026, 11, 25), day)
        book.add_worksheet().write(0, 0, "other")


@pytest.mark.parametrize("name", ["d.xlsx", "d.csv"])
def test_first_sheet_of_a_workbook_is_a_table(tmp_path: Path, name: str) -> None:
    """Excel is recognised by its first bytes; numbers and days keep their types."""
    pytest.importorskip("python_calamine")
    workbook(tmp_path, name)
    rows = f'rows = {{ file = "{name}", types = {{ code = "text" }} }}\n'
    assert [job.params for job in jobs_of(tmp_path, HEAD + rows)] == [
        {"id": 1, "price": 2.5, "code": "007", "day": "2026-11-25"},
        {"id": 2, "price": True, "code": "8", "day": ""},
    ]


def test_mistake_in_a_workbook_has_its_row(tmp_path: Path) -> None:
    """Rows are counted as Excel shows them."""
    pytest.importorskip("python_calamine")
    workbook(tmp_path, "d.xlsx")
    rows = 'rows = { file = "d.xlsx", types = { price = "float" } }\n'
    assert mistakes_of(tmp_path, HEAD + rows) == ["d.xlsx:5: expected a number, found true"]


def test_workbook_names_the_extra_that_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the library, the message says what to install, or to export CSV."""
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    workbook(tmp_path, "d.csv")
    assert mistakes_of(tmp_path, HEAD + 'rows = { file = "d.csv" }\n') == [
        "spec.toml:7:1: jobs[0].matrix.rows: "
        "d.csv: Excel needs a library that is not installed: pip install 'apify-batch[excel]'; or "
        "export the sheet as CSV"
    ]


@pytest.mark.parametrize("value", [7, None], ids=["a value", "only a format"])
def test_cell_far_from_the_table_of_a_workbook(tmp_path: Path, value: int | None) -> None:
    """A value there makes the sheet too large for memory, which is said; a format does not."""
    xlsxwriter = pytest.importorskip("xlsxwriter")
    with xlsxwriter.Workbook(str(tmp_path / "d.xlsx")) as book:
        sheet = book.add_worksheet()
        sheet.write_column("A1", ["id", "shoes"])
        sheet.write("ZZ1000000", value, book.add_format({"bold": True}))
        book.add_worksheet().write("ZZ1000000", 7)
    text = HEAD + 'rows = { file = "d.xlsx" }\n'
    if value is None:
        assert len(jobs_of(tmp_path, text)) == 1
        return
    (said,) = mistakes_of(tmp_path, text)
    assert "d.xlsx: a value far from the table makes the sheet 702,000,000 cells large" in said


def test_file_that_only_has_the_ending_of_a_workbook_is_refused(tmp_path: Path) -> None:
    """Many programs call a text `.xls`."""
    pytest.importorskip("python_calamine")
    (tmp_path / "d.xls").write_text(TEXT)
    (said,) = mistakes_of(tmp_path, HEAD + 'rows = { file = "d.xls" }\n')
    assert said.startswith(
        "spec.toml:7:1: jobs[0].matrix.rows: d.xls: cannot be read as a workbook: "
    )


def test_numbers_of_a_workbook_beyond_64_bits_stay_numbers(tmp_path: Path) -> None:
    """A whole number that no integer of JSON holds is the number that Excel has."""
    pytest.importorskip("python_calamine")
    xlsxwriter = pytest.importorskip("xlsxwriter")
    with xlsxwriter.Workbook(str(tmp_path / "d.xlsx")) as book:
        sheet = book.add_worksheet()
        sheet.write_column(0, 0, ["id", 1e20, -1e300, 3.0])
    spec = HEAD.replace("[jobs.matrix]", 'input = { id = "{{ id }}" }\n[jobs.matrix]')
    jobs = jobs_of(tmp_path, spec + 'rows = { file = "d.xlsx" }\n')
    assert [job.params["id"] for job in jobs] == [1e20, -1e300, 3]


def test_parquet_values_that_json_does_not_have(tmp_path: Path) -> None:
    """Decimals are numbers or exact texts, durations and times are texts, also inside others."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    values: list[tuple[Any, Any]] = [
        ([Decimal("1.10")], 1.1),
        ([Decimal("5.00")], 5),
        ([Decimal("0.1234567890123456789")], "0.1234567890123456789"),
        ([Decimal(10) ** 30], "1" + "0" * 30),
        ([timedelta(hours=25)], "1 day, 1:00:00"),
        ([b"caf\xc3\xa9"], "café"),
        (
            [{"price": Decimal("2.5"), "day": date(2026, 11, 25)}],
            {"price": 2.5, "day": "2026-11-25"},
        ),
        ([[Decimal("0.5")]], [0.5]),
    ]
    spec = HEAD.replace("{{ id | slug }}", "{{ id | json | slug }}")
    for cells, expected in values:
        parquet.write_table(pa.table({"id": cells}), tmp_path / "d.parquet")
        jobs = jobs_of(tmp_path, spec + 'rows = { file = "d.parquet" }\n')
        assert [job.params["id"] for job in jobs] == [expected]


def test_parquet_that_has_no_values_for_an_input_is_refused(tmp_path: Path) -> None:
    """Bytes, times that no calendar has, and a column that is there twice."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    mistakes = {
        "d.parquet: element 1: id: expected a text or a number, found bytes": pa.array([b"\xff"]),
        "cannot be read as Parquet: date value out of range": pa.array([2**62], pa.timestamp("us")),
    }
    for said, cells in mistakes.items():
        parquet.write_table(pa.table({"id": cells}), tmp_path / "d.parquet")
        (found,) = mistakes_of(tmp_path, HEAD + 'rows = { file = "d.parquet" }\n')
        assert said in found
    twice = pa.table([pa.array([1]), pa.array([2])], names=["id", "id"])
    parquet.write_table(twice, tmp_path / "d.parquet")
    (found,) = mistakes_of(tmp_path, HEAD + 'rows = { file = "d.parquet" }\n')
    assert "the column 'id' appears twice" in found
