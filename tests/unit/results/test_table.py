from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.model.batches import ResultsFormat, ResultsPlan
from orchestrator.results.item_source import NotMerged, Source
from orchestrator.results.table import write_table
from orchestrator.results.table_sizes import TableSizes
from tests.support.tables import csv_rows, make_table, read_back, rejected, sources_in

JSONL = ResultsFormat.JSONL
CSV = ResultsFormat.CSV
PARQUET = ResultsFormat.PARQUET


def lines(folder: Path) -> list[str]:
    return (folder / "items.jsonl").read_text().splitlines()


def parquet(folder: Path) -> Any:
    read = pytest.importorskip("pyarrow.parquet").read_table
    return read(folder / "items.parquet", partitioning=None)


def test_text_of_an_item_stays_as_it_was(tmp_path: Path) -> None:
    """Times, spaces, digits and unusual numbers are the bytes that the platform sent."""
    item = '{"at": "2026-11-26T10:00:00.123Z","t":"10:30",  "id":9007199254740993,"x":1.50,"n":NaN}'
    make_table(tmp_path / "r", [[item]], params=[{"k": "a"}])
    assert lines(tmp_path / "r") == ['{"_job":"job-1","_run":"run-1","k":"a",' + item[1:]]


@pytest.mark.parametrize(
    ("item", "job", "run"),
    [
        pytest.param('{"_job":"mine"}', "__job", "__run", id="job"),
        pytest.param('{"_run":1,"__job":2}', "___job", "___run", id="run and more"),
        pytest.param('{"\\u005fjob":"mine"}', "__job", "__run", id="escaped"),
        pytest.param('{"_item":1}', "_job", "_run", id="another name"),
    ],
)
def test_our_columns_are_renamed_in_the_whole_table(
    tmp_path: Path, item: str, job: str, run: str
) -> None:
    """An item's own `_job` stays; our column has one more underscore, in all rows."""
    make_table(tmp_path / "r", [['{"a":1}'] * 1000, ["{}"] * 1000 + [item]])
    rows = [json.loads(line) for line in lines(tmp_path / "r")]
    assert [(row[job], row[run]) for row in (rows[0], rows[-1])] == [
        ("job-1", "run-1"), ("job-2", "run-2"),
    ]  # fmt: skip
    assert {**rows[-1], **json.loads(item)} == rows[-1]
    columns = json.loads((tmp_path / "r" / "columns.json").read_text())["columns"]
    assert [column["name"] for column in columns if column["from"] in ("job", "run")] == [job, run]


def test_parameter_with_the_name_of_a_field_is_renamed(tmp_path: Path) -> None:
    """Both are in the table; `columns.json` says which is which."""
    make_table(tmp_path / "r", [['{"country":"de"}']], params=[{"country": "us"}])
    (row,) = map(json.loads, lines(tmp_path / "r"))
    assert (row["country"], row["_country"]) == ("de", "us")


def test_item_that_is_not_an_object_has_a_column_of_its_own(tmp_path: Path) -> None:
    """The other rows stay the same."""
    make_table(tmp_path / "r", [['{"a":1}', '"text"', "[1]", "null", "{}"]])
    rows = [json.loads(line) for line in lines(tmp_path / "r")]
    assert [row.get("_item", "-") for row in rows] == ["-", "text", [1], None, "-"]


@pytest.mark.parametrize(
    ("values", "type_", "found"),
    [
        (["1", "2"], "int64", [1, 2]),
        (["1", "2.5"], "double", [1.0, 2.5]),
        (["9007199254740993", "9223372036854775807"], "int64", [2**53 + 1, 2**63 - 1]),
        (["9007199254740993", "1.5"], "string", ["9007199254740993", "1.5"]),
        (["9223372036854775808"], "string", ["9223372036854775808"]),
        (["1", '"1"'], "string", ["1", '"1"']),
        (["true", "false"], "bool", [True, False]),
        (['"2026-11-26"', '"10:30"'], "string", ["2026-11-26", "10:30"]),
        (['{"Id":1,"id":2}', "[]"], "string", ['{"Id":1,"id":2}', "[]"]),
    ],
)
@pytest.mark.parametrize("at_once", [1, 1000])
def test_parquet_column_is_text_unless_all_values_are_of_one_type(
    tmp_path: Path, values: list[str], type_: str, found: list[object], at_once: int
) -> None:
    """No type is guessed from a text, and no number loses a digit."""
    jobs = [[f'{{"v":{value}}}'] for value in values]
    make_table(tmp_path / "r", jobs, sizes=TableSizes(most_rows=at_once), format=PARQUET)
    column = parquet(tmp_path / "r").column("v")
    assert (str(column.type), column.to_pylist()) == (type_, found)


def test_type_that_a_late_item_changes_holds_for_all_rows(tmp_path: Path) -> None:
    """This also holds if most of the table was written before."""
    early = [f'{{"v":{n}}}' for n in range(40_000)]
    make_table(tmp_path / "r", [early, ['{"v":"x","late":true}']], format=PARQUET)
    table = parquet(tmp_path / "r")
    assert (table.num_rows, table.column("v")[0].as_py(), table.column("v")[-1].as_py()) == (
        40_001, "0", '"x"',
    )  # fmt: skip
    assert table.column("late").to_pylist()[-2:] == [None, True]


def test_names_that_differ_by_capitals_are_columns_of_their_own(tmp_path: Path) -> None:
    """This holds across jobs and in one item."""
    jobs = [['{"URL":"u1","id":1}'], ['{"url":"u2","id":2,"ID":3}']]
    make_table(tmp_path / "r", jobs, format=PARQUET)
    assert parquet(tmp_path / "r").select(["URL", "url", "id", "ID"]).to_pylist() == [
        {"URL": "u1", "url": None, "id": 1, "ID": None},
        {"URL": None, "url": "u2", "id": 2, "ID": 3},
    ]


def test_null_and_missing_differ(tmp_path: Path) -> None:
    """If a column has both, another column names the fields that are null."""
    make_table(tmp_path / "r", [['{"a":null,"b":null}', '{"b":null}']], format=PARQUET)
    assert parquet(tmp_path / "r").column("_null").to_pylist() == ['["a"]', None]
    assert [item for _, item in read_back(tmp_path / "r")] == [{"a": None, "b": None}, {"b": None}]


def test_item_with_a_cut_emoji_is_kept_whole_in_parquet(tmp_path: Path) -> None:
    """UTF-8 has no half characters, so `_item` has the item; other columns have its fields."""
    jobs = [['{"price":12,"title":"a"}'], ['{"price":3,"title":"cut \\ud83d"}']]
    make_table(tmp_path / "r", jobs, format=PARQUET)
    row = parquet(tmp_path / "r").to_pylist()[1]
    assert (row["price"], row["title"], row["_item"]) == (3, "cut \ufffd", jobs[1][0])


@pytest.mark.parametrize("item", ['{"a":1,"a":2}', '{"a": 1, "a": 2}', '{"a":[{"b":1,"b":2}]}'])
def test_item_with_a_name_twice_is_kept_whole(tmp_path: Path, item: str) -> None:
    """A column has the last value, as parsers do; `_item` has the whole item."""
    make_table(tmp_path / "r", [['{"a":0}', item]], format=CSV)
    *_, row = csv_rows(tmp_path / "r" / "items.csv")
    assert item in (row.get("_item"), f'{{"a":{row["a"]}}}')


@pytest.mark.parametrize("format_", [JSONL, CSV, PARQUET])
def test_line_that_is_not_json_is_named_and_the_others_are_merged(
    tmp_path: Path, format_: ResultsFormat
) -> None:
    """It is in `rejects.jsonl` with its job and line."""
    if format_ is PARQUET:
        pytest.importorskip("pyarrow")
    table = make_table(tmp_path / "r", [['{"a":1}', '{"a":', '{"a":2}']], format=format_)
    assert (table.rows, table.rejected) == (2, 1)
    assert table.rejects == ("job-1, line 2: ends too early",)
    (reject,) = rejected(tmp_path / "r")
    assert (reject["job"], reject["line"], reject["text"]) == ("job-1", 2, '{"a":')


@pytest.mark.parametrize("format_", [JSONL, CSV, PARQUET])
def test_byte_order_mark_is_no_part_of_an_item(tmp_path: Path, format_: ResultsFormat) -> None:
    """A file has one at its start if its job asks for `bom`."""
    if format_ is PARQUET:
        pytest.importorskip("pyarrow")
    table = make_table(tmp_path / "r", [['\ufeff{"a":1}', '{"a":2}']], format=format_)
    assert (table.rows, table.rejected) == (2, 0)
    assert [item for _, item in read_back(tmp_path / "r")] == [{"a": 1}, {"a": 2}]


def test_texts_are_converted_to_the_types_of_the_spec(tmp_path: Path) -> None:
    """A value that cannot be converted is a reject, with its job and line."""
    items = [
        '{"at":"2026-11-26T10:00:00.123+02:00","day":"2026-11-26","n":"12"}',
        '{"at":null}',
        '{"at":"2026-02-30T00:00:00Z"}',
    ]
    types = {"at": "timestamp", "day": "date", "n": "integer"}
    table = make_table(tmp_path / "r", [items], format=PARQUET, types=types)
    at = datetime(2026, 11, 26, 8, 0, 0, 123000, tzinfo=UTC)
    assert parquet(tmp_path / "r").select(["at", "day", "n"]).to_pylist() == [
        {"at": at, "day": date(2026, 11, 26), "n": 12},
        {"at": None, "day": None, "n": None},
    ]
    assert table.rejects == (
        'job-1, line 3: at: "2026-02-30T00:00:00Z" is not of the type timestamp',
    )


def test_identifier_beyond_a_double_is_an_integer(tmp_path: Path) -> None:
    """A text or a number with 19 digits has all of them in the column."""
    lines = ['{"id":"1234567890123456789"}', '{"id":-9007199254740993}', '{"id":2.0}', '{"id":2.5}']
    table = make_table(tmp_path / "r", [lines], format=PARQUET, types={"id": "integer"})
    found = parquet(tmp_path / "r").column("id").to_pylist()
    assert found == [1234567890123456789, -9007199254740993, 2]
    assert table.rejects == ("job-1, line 4: id: 2.5 is not of the type integer",)


@pytest.mark.parametrize("format_", [JSONL, CSV])
def test_unique_keeps_items_without_the_key(tmp_path: Path, format_: ResultsFormat) -> None:
    """Items without the key are never dropped; of equal items the first stays."""
    items = ['{"url":"u1"}', '{"url":null,"t":1}', '{"url":null,"t":2}', '{"t":3}', '{"url":"u1"}']
    table = make_table(tmp_path / "r", [items], format=format_, unique=("url",))
    assert [item for _, item in read_back(tmp_path / "r")] == [json.loads(i) for i in items[:4]]
    assert (table.rows, table.repeated) == (4, 1)


def test_unique_drops_items_without_the_key_on_request(tmp_path: Path) -> None:
    """`unique_missing = "drop"` counts the dropped items."""
    asked: dict[str, Any] = {"unique": ("url",), "unique_missing": "drop"}
    table = make_table(tmp_path / "r", [['{"url":"u1"}', '{"url":null}', "{}"]], **asked)
    assert (table.rows, table.keyless) == (1, 2)


@pytest.mark.parametrize(
    ("one", "other", "rows"),
    [
        ("1", "1.0", 1),
        ("1", '"1"', 2),
        ("true", "1", 2),
        ("18446744073709551617", "18446744073709551618", 2),
        ("18446744073709551617", '"18446744073709551617"', 2),
        ("[1]", '["1"]', 2),
        ('"cut \\ud83d"', '"cut \\ud83e"', 2),
        ('{"a":1,"b":2}', '{"b": 2, "a": 1}', 1),
    ],
)
def test_unique_compares_values_exactly(tmp_path: Path, one: str, other: str, rows: int) -> None:
    """Equal values are one; values that only look equal are not."""
    table = make_table(tmp_path / "r", [[f'{{"k":{one}}}', f'{{"k":{other}}}']], unique=("k",))
    assert table.rows == rows


@pytest.mark.parametrize("more", ['"cut \\ud83d"', '"", "k": "same"', '"", "f5001": 1'])
def test_other_fields_do_not_matter_to_unique(tmp_path: Path, more: str) -> None:
    """Also in items that columns cannot hold completely."""
    wide = ", ".join(f'"f{n}": 1' for n in range(4999))
    items = [f'{{"k": "same", "n": {n}, "more": {more}}}' for n in range(3)]
    for format_ in (JSONL, CSV):
        table = make_table(tmp_path / "r", [[f"{{{wide}}}", *items]], unique=("k",), format=format_)
        assert (table.rows, table.repeated) == (2, 2)


def test_unique_compares_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    """Two broken texts are not equal because both are broken."""
    source = Source(path=tmp_path / "items", job="job", run="run", items=3)
    source.path.write_bytes(b'{"k":"\xff"}\n{"k":"\xfe"}\n{"k":"\xff"}\n')
    (tmp_path / "r").mkdir()
    plan = ResultsPlan(unique=("k",))
    table = write_table(lambda: [source], plan, tmp_path / "r")
    assert (table.rows, table.repeated) == (2, 1)


def test_unique_accepts_our_own_columns(tmp_path: Path) -> None:
    """`_job` and parameters can be the key, as fields can."""
    params = [{"c": "us"}, {"c": "de"}, {"c": "us"}]
    jobs = [["{}", "{}"]] * 3
    assert make_table(tmp_path / "r", jobs, params=params, unique=("_job",)).rows == 3
    assert make_table(tmp_path / "r", jobs, params=params, unique=("c",)).rows == 2


def test_unique_compares_with_keys_on_disk(tmp_path: Path) -> None:
    """The keys of large tables do not stay in memory."""
    items = [f'{{"k":{n % 400}}}' for n in range(1000)]
    sizes = TableSizes(most_rows=50, most_keys=100)
    table = make_table(tmp_path / "r", [items], sizes=sizes, unique=("k",))
    assert (table.rows, table.repeated) == (400, 600)
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [
        "columns.json", "items.jsonl",
    ]  # fmt: skip


@pytest.mark.parametrize("asked", [{"unique": ("ulr", "a")}, {"partition_by": ("ulr",)}])
@pytest.mark.parametrize("missing", ["keep", "drop"])
def test_missing_column_keeps_all_rows(tmp_path: Path, asked: dict[str, Any], missing: str) -> None:
    """A warning names it, for both treatments of items without a key."""
    table = make_table(tmp_path / "r", [['{"a":1}', '{"a":1}']], unique_missing=missing, **asked)
    assert (table.rows, table.lacking) == (2, ("ulr",))


def test_type_of_a_parameter_is_a_missing_column(tmp_path: Path) -> None:
    """Only fields of items are converted, so the parameter is not taken for one."""
    pytest.importorskip("pyarrow")
    asked: dict[str, Any] = {"format": PARQUET, "types": {"day": "date"}}
    table = make_table(tmp_path / "r", [['{"a":1}']], params=[{"day": "2026-11-25"}], **asked)
    assert table.lacking == ("day",)


def test_column_of_only_a_late_item_exists(tmp_path: Path) -> None:
    """The column counts for all items, from the first one on."""
    items = ['{"a":1}'] * 20_000 + ['{"k":1}', '{"k":1}']
    table = make_table(tmp_path / "r", [items], unique=("k",))
    assert (table.rows, table.repeated, table.lacking) == (20_001, 1, ())


@pytest.mark.parametrize("format_", [JSONL, CSV, PARQUET])
def test_table_is_partitioned(tmp_path: Path, format_: ResultsFormat) -> None:
    """There is a folder for each value, encoded so that every value is possible."""
    if format_ is PARQUET:
        pytest.importorskip("pyarrow")
    items = [f'{{"k":{value},"n":1}}' for value in ('"a/b"', '"a/b"', '""', "null", '"x"')]
    table = make_table(tmp_path / "r", [[*items, "{}"]], format=format_, partition_by=("k",))
    folders = {path.name for path in (tmp_path / "r").iterdir() if path.is_dir()}
    assert folders == {"k=a%2Fb", "k=", "k=__HIVE_DEFAULT_PARTITION__", "k=x"}
    assert table.rows == 6


def test_partitions_of_mixed_values_differ(tmp_path: Path) -> None:
    """A text is quoted if the column has numbers too."""
    make_table(tmp_path / "r", [['{"k":1}', '{"k":"1"}', '{"k":true}']], partition_by=("k",))
    folders = {path.name for path in (tmp_path / "r").iterdir() if path.is_dir()}
    assert folders == {"k=1", "k=%221%22", "k=true"}


def test_partition_of_a_day_is_read_as_a_day(tmp_path: Path) -> None:
    """The name of its folder is not JSON."""
    pytest.importorskip("pyarrow")
    items = ['{"day":"2026-11-25","at":"2026-11-25T10:00:00+02:00"}']
    types = {"day": "date", "at": "timestamp"}
    asked: dict[str, Any] = {"types": types, "partition_by": ("day", "at")}
    make_table(tmp_path / "r", [items], format=PARQUET, **asked)
    day = tmp_path / "r" / "day=2026-11-25"
    assert [path.name for path in day.iterdir()] == ["at=2026-11-25T08%3A00%3A00%2B00%3A00"]


def test_many_partitions_are_written_with_few_open_files(tmp_path: Path) -> None:
    """A partition that appears again is continued."""
    pytest.importorskip("pyarrow")
    items = [f'{{"k":{n % 70}}}' for n in range(280)]
    table = make_table(tmp_path / "r", [items] * 2, format=PARQUET, partition_by=("k",))
    found = pytest.importorskip("pyarrow.dataset").dataset(
        [str(path) for path in (tmp_path / "r").rglob("*.parquet")]
    )
    assert (table.rows, found.count_rows()) == (560, 560)


def test_batch_without_items_has_an_empty_table(tmp_path: Path) -> None:
    """No items are not an error."""
    make_table(tmp_path / "r", [])
    assert (tmp_path / "r" / "items.jsonl").read_bytes() == b""


@pytest.mark.parametrize("change", ["lost", "added", "removed"])
def test_items_that_differ_from_the_collected_ones_are_an_error(
    tmp_path: Path, change: str
) -> None:
    """The message names the job, and how to download it again."""
    (source,) = sources_in(tmp_path, [['{"a":1}', '{"a":2}']])
    if change == "removed":
        source.path.unlink()
    else:
        source.path.write_text('{"a":1}\n' * (1 if change == "lost" else 3))
    (tmp_path / "r").mkdir()
    plan = ResultsPlan()
    with pytest.raises(NotMerged, match=r"^job-1: .*: run `orchestrator collect /.*` to"):
        write_table(lambda: [source], plan, tmp_path / "r")


def test_table_of_several_batches_names_them(tmp_path: Path) -> None:
    """Columns have the id and the occurrence of each batch."""
    path = tmp_path / "items.jsonl"
    path.write_text('{"a":1}\n')
    sources = [
        Source(path=path, job="j", run="r", items=1, batch=f"b{n}", occurrence=f"2026-11-0{n}")
        for n in (1, 2)
    ]
    (tmp_path / "r").mkdir()
    write_table(lambda: sources, ResultsPlan(), tmp_path / "r", has_batches=True)
    assert lines(tmp_path / "r")[1] == (
        '{"_job":"j","_run":"r","_batch":"b2","_occurrence":"2026-11-02","a":1}'
    )
