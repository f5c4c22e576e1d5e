from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.model.batches import ResultsFormat
from orchestrator.results.table_sizes import TableSizes
from tests.support.tables import exact, make_table, read_back

FORMATS = [ResultsFormat.JSONL, ResultsFormat.CSV, ResultsFormat.PARQUET]
NAMES = [
    "", "a", "A", "url", "URL", "_job", "_run", "__job", "_item", "_null", "_n", "n", "a.b", "😀",
    "x\0y", "a,b", 'a"b', "a\nb", "=1+1", "__HIVE_DEFAULT_PARTITION__", "cut \ud83d", "job", "null",
]  # fmt: skip
TEXTS = [
    "", "cut \ud83d", "\ude00 cut", "10:30", "2026-11-26T10:00:00.123Z", "007", "=1+1", "'=1",
    "null", "true", "1", '"', "\0", "\u2028", "\ufeff", "a\r\nb", "  ", "\ufffd", "NaN", '{"a": 1}',
]  # fmt: skip
NUMBERS = [
    "0", "-0", "1", "1.0", "1.50", "-0.0", "9007199254740993", "9223372036854775807",
    "9223372036854775808", "-9223372036854775809", "18446744073709551615",
    "123456789012345678901234",
    "1e5", "1E400", "1e-400", "0.1000000000000000055511151231257827", "12345678901234567.5", "NaN",
    "Infinity", "-Infinity", "5e-324", "1e22", "100000000000000000000", "0.30000000000000004",
]  # fmt: skip


class Raw(str):
    """A value as its JSON text."""

    __slots__ = ()


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers().map(str).map(Raw),
    st.floats().map(json.dumps).map(Raw),
    st.sampled_from(NUMBERS).map(Raw),
    st.text(max_size=8),
    st.sampled_from(TEXTS),
)
FIELD_NAMES = st.one_of(st.sampled_from(NAMES), st.text(max_size=4))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(st.tuples(FIELD_NAMES, inner), max_size=3).map(tuple),
    ),
    max_leaves=6,
)
OBJECTS = st.lists(st.tuples(FIELD_NAMES, VALUES), max_size=6).map(tuple)
ITEMS = st.one_of(OBJECTS, OBJECTS, OBJECTS, VALUES)
STYLES = st.sampled_from([("", "", True), (" ", "", False), (" ", " ", True)])
LINES = st.tuples(ITEMS, STYLES).map(lambda drawn: rendered(drawn[0], *drawn[1]))
JOBS = st.lists(st.lists(LINES, max_size=5), min_size=1, max_size=3)


def rendered(value: Any, after_colon: str = "", before_colon: str = "", ascii_: bool = True) -> str:
    """The JSON text of a value; a tuple of pairs is an object, which may have a name twice."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, tuple):
        fields = (
            f"{rendered(name, ascii_=ascii_)}{before_colon}:{after_colon}"
            f"{rendered(inner, after_colon, before_colon, ascii_)}"
            for name, inner in value
        )
        return "{" + f",{after_colon}".join(fields) + "}"
    if isinstance(value, list):
        inner = (rendered(one, after_colon, before_colon, ascii_) for one in value)
        return "[" + f",{after_colon}".join(inner) + "]"
    is_cut = isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value)
    return json.dumps(value, ensure_ascii=ascii_ or is_cut)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: numbers by their values, and true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | Decimal) and isinstance(other, int | Decimal):
        return Decimal(one) == Decimal(other)
    return bool(type(one) is type(other) and one == other)


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(jobs=JOBS, most_rows=st.sampled_from([1, 2, 1000]), sampled=st.sampled_from([0, 1, 200]))
def test_table_has_every_item(
    tmp_path_factory: pytest.TempPathFactory,
    format_: ResultsFormat,
    jobs: list[list[str]],
    most_rows: int,
    sampled: int,
) -> None:
    """The table has each value of the items, which may be any JSON."""
    if format_ is ResultsFormat.PARQUET:
        pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("table") / "results"
    params = [{"n": number} for number, _ in enumerate(jobs)]
    sizes = TableSizes(most_rows=most_rows, sampled_jobs=sampled)
    table = make_table(folder, jobs, params=params, sizes=sizes, format=format_)
    items = [(f"job-{n}", exact(line)) for n, lines in enumerate(jobs, 1) for line in lines]
    found = read_back(folder)
    assert (table.rows, table.rejected) == (len(items), 0)
    for expected, row in zip(items, found, strict=True):
        assert expected[0] == row[0]
        assert same(expected[1], row[1]), (expected, row)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["[" * depth + "]" * depth for depth in (300, 5000)], id="arrays"),
        pytest.param(['{"a":' * depth + "1" + "}" * depth for depth in (300,)], id="objects"),
        pytest.param([json.dumps({f"k{n}": "v" for n in range(500)}), "{}"], id="500 columns"),
        pytest.param([json.dumps({f"k{n}": n for n in range(6000)})], id="6,000 columns"),
        pytest.param(
            [json.dumps({f"j{j}k{n}": "v" for n in range(30)}) for j in range(9)], id="9x30"
        ),
    ],
)
def test_table_holds_items_that_are_deep_or_wide(
    tmp_path: Path, format_: ResultsFormat, lines: list[str]
) -> None:
    """Nesting and the number of fields have no limit."""
    if format_ is ResultsFormat.PARQUET:
        pytest.importorskip("pyarrow")
    make_table(tmp_path / "results", [['{"a":1}'], lines], format=format_)
    text = (tmp_path / "results" / "columns.json").read_text()
    rows = len([line for line in lines if "[" * 1000 not in line])
    if rows == len(lines):
        found = read_back(tmp_path / "results")
        assert [item for _, item in found[1:]] == [json.loads(line) for line in lines]
    assert json.loads(text)["rows"] == len(lines) + 1
