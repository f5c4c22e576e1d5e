from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.specfile.tables.column_choice import Wanted
from orchestrator.specfile.tables.columns import read_data
from orchestrator.specfile.tables.data_source import Source
from orchestrator.specfile.tables.file_signatures import LARGEST_BYTES
from orchestrator.specfile.tables.source_mistake import SourceMistake
from tests.support.specs import jobs_of, mistakes_of

# ruff: noqa: ISC004 - the sentences are long
HEAD = '[batch]\nname = "b"\n[[jobs]]\nname = "k-{{ q }}"\nactor = "a/b"\n[jobs.matrix]\n'
ROWS = 'rows = { file = "d.csv" }\n'
COLUMN = 'q = { file = "d.csv", column = "q" }\n'


@pytest.mark.parametrize(
    ("data", "matrix", "expected"),
    [
        (
            b"q,r\na,1\nb\nc,1,2\n",
            ROWS,
            [
                "d.csv:3: the row has 1 cell, expected 2 as in the first line",
                "d.csv:4: the row has 3 cells, expected 2 as in the first line",
            ],
        ),
        (
            b"q\na\nb\xe9\n",
            ROWS,
            [
                "d.csv:3:2: is not text in utf-8: found the byte 0xe9; set its encoding, such as "
                'encoding = "cp1252"'
            ],
        ),
        (b'"n,",q,q\na,1,2\n', ROWS, ["d.csv:1:8: the column 'q' appears twice"]),
        (b"qery\na\n", COLUMN, ["d.csv:1: unknown column 'q'; known here: qery"]),
        (b"quary,n\na,1\n", COLUMN.replace('"q"', '"query"'),
            ["d.csv:1: unknown column 'query'; did you mean 'quary'?"]),
        (b"q\na\nA\n", ROWS, [
            "spec.toml:4:1: jobs[0].name: two jobs have the key 'k-A' (case does not count): "
            'jobs[0] where q = "a", d.csv:2, and jobs[0] where q = "A", d.csv:3'
        ]),
        (b'q,n\na,1\n"x,y",two\nb,99999999999999999999\n',
            'rows = { file = "d.csv", types = { n = "int" } }\n',
            [
                'd.csv:3:7: expected a whole number, found "two"',
                'd.csv:4:3: expected a whole number, found "99999999999999999999"',
            ]),
        ("q,n\na,1.5e3\nb,1_000\nc,\u0661\n".encode(),
            'rows = { file = "d.csv", types = { n = "float" } }\n',
            [
                'd.csv:3:3: expected a number, found "1_000"',
                'd.csv:4:3: expected a number, found "\u0661"',
            ]),
        (b"q\na b\n", ROWS, [
            "spec.toml:4:1: jobs[0].name: 'k-a b' is not a valid job key: use 1 to 200 of "
            "A-Za-z0-9._=-, with no dot at the start; the filter slug makes any text valid "
            '(where q = "a b", d.csv:2)'
        ]),
        (b"", ROWS, ["d.csv:1: is empty; its first line must name the columns"]),
        (b"q\n", ROWS, ["d.csv: has no values"]),
        (b'q\n"a\nb\n', ROWS, [
            "d.csv:2:1: a cell opens with a quote here and has no closing quote; write a quote "
            "inside a cell twice"
        ]),
        (b'q\n"a"b\n', ROWS, [
            "d.csv:2:1: a cell opens with a quote here, and text follows its closing quote in "
            "line 2; write a quote inside a cell twice"
        ]),
        (b"Q!,n\nx,1\n", ROWS, [
            "spec.toml:4:1: jobs[0].name: unknown name 'q'; of the column \"Q!\", set columns = "
            '{ q = "Q!" }'
        ]),
        (b"q!,a b\nx,1\n", ROWS, [
            'spec.toml:7:1: jobs[0].matrix.rows: no name of a column can be a parameter ("q!", …); '
            "set columns = { parameter = COLUMN }"
        ]),
        (b"# exported 2026\nq,n\na,1\n", 'q = { file = "d.csv", column = "# exported 2026" }\n', [
            "d.csv:1:1: the first line must name the columns, but looks like a comment; delete it",
        ]),
        (b"q,q!\na,1\na,1\n", ROWS, [
            "spec.toml:4:1: jobs[0].name: two jobs have the key 'k-a' (case does not count): "
            'jobs[0] where q = "a", d.csv:2, and jobs[0] where q = "a", d.csv:3; both rows are '
            "equal: set distinct = true to leave out repeated ones"
        ]),
        (b"", 'rows = { file = "https://x/d.csv" }\n', [
            'spec.toml:7:10: jobs[0].matrix.rows.file: an address is not read, found '
            '"https://x/d.csv"; download it first, and name the file'
        ]),
        (b"", 'rows = { file = "*.csv" }\n', [
            'spec.toml:7:10: jobs[0].matrix.rows.file: a pattern of names is not read, found '
            '"*.csv"; join the files and name the result'
        ]),
        (b"q,r\nx,1\n", 'q = { file = "d.csv" }\n', [
            'd.csv: choose a column: column = "q" or "r"'
        ]),
        (b"q\nx\n", 'rows = { file = "d.csv", types = { r = "int" } }\n', [
            "spec.toml:7:36: jobs[0].matrix.rows.types.r: unknown parameter 'r'; known here: q"
        ]),
        (b'{"q":1}\n{"q":\n[2]\n{"r":3}\n', 'rows = { file = "d.csv", format = "jsonl" }\n', [
            "d.csv:2:6: is not valid JSON: unexpected end of data",
            "d.csv:3: expected a table, found a list",
            'd.csv:4: has no column "q"',
        ]),
        (b'{"q":"1"}', 'rows = { file = "d.csv", format = "json" }\n', [
            "d.csv: must have a list, found a table"
        ]),
        (b'[\n{"q":"1"},]', 'rows = { file = "d.csv", format = "json" }\n', [
            "d.csv:2:10: is not valid JSON: trailing comma is not allowed"
        ]),
        (b'[{"q":true}]',
            'q = { file = "d.csv", format = "json", column = "q", type = "int" }\n', [
            "d.csv: element 1: q: expected a whole number, found true",
        ]),
        (b"x\n", 'rows = { file = "d.csv", format = "text" }\n', [
            "d.csv: lines of text have no columns"
        ]),
        (b"PAR1", 'rows = { file = "d.csv", format = "parquet" }\n', [
            "d.csv: Parquet needs a library that is not installed: pip install "
            "'apify-batch[parquet]'; or convert the data to CSV or JSON Lines"
        ]),
        (b"", 'rows = { file = "nope.csv" }\n', ["nope.csv: no such file or directory"]),
        (b"a", 'rows = { file = "spec.toml" }\n', [
            'the ending \'.toml\' is of no known format; set format = "csv", "excel", "json", '
            '"jsonl", "parquet" or "text"'
        ]),
        (b"", 'rows = { file = "." }\n', ["is not a data file"]),
        (b"", 'rows = { file = ".", format = "csv" }\n', ["is not a data file"]),
        (b"", 'rows = { file = "/dev/zero", format = "csv" }\n', [
            "/dev/zero: is not a data file"
        ]),
        (b"", 'rows = { file = "-" }\n', [
            'standard input: set its format: format = "csv", "excel", "json", "jsonl", "parquet" '
            'or "text"'
        ]),
        (b"", 'rows = { results = "nope" }\n', [
            "output/nope: has no results: no batch of that name has ended"
        ]),
        (b"aaaaaaaaaa\n", 'q = { file = "d.csv", format = "text", chunk_bytes = 5 }\n', [
            'spec.toml:7:1: jobs[0].matrix.q: the value "aaaaaaaaaa" has more than 5 bytes'
        ]),
        (b"q\nx\n", ROWS + "q = [1]\n", [
            "spec.toml:8:1: jobs[0].matrix.q: the parameter q appears twice"
        ]),
    ],
)  # fmt: skip
def test_mistake_in_data_is_reported_with_its_place(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    matrix: str,
    expected: list[str],
) -> None:
    """A mistake in a data file is reported with its line, and its column if it has one."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "d.csv").write_bytes(data)
    said = mistakes_of(tmp_path, HEAD + matrix)
    assert len(said) == len(expected), said
    assert all(line.endswith(words) for line, words in zip(said, expected, strict=True)), said


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (
            'q = [1, 2]\nr = [1]\nzip = ["q", "r"]\n',
            ["9:1: jobs[0].matrix.zip: must have equally many values each: q has 2, r has 1"],
        ),
        (
            'q = [1, 2]\nzip = ["q", "p", "q"]\n',
            [
                "8:13: jobs[0].matrix.zip[1]: unknown parameter 'p'; known here: q",
                "8:18: jobs[0].matrix.zip[2]: appears twice",
            ],
        ),
        (
            "rows = [{ q = 1 }, { p = 1 }]\n",
            [
                "7:20: jobs[0].matrix.rows[1]: must have a value for q, as in the first row",
                "7:22: jobs[0].matrix.rows[1].p: unknown parameter 'p'; known here: q",
            ],
        ),
        (
            "q = [1]\ninclude = [{ r = 1 }]\n",
            [
                "8:12: jobs[0].matrix.include[0]: must have a value for q, as every job",
                "8:14: jobs[0].matrix.include[0].r: unknown parameter 'r'; known here: q",
            ],
        ),
        (
            "q = [1, 2]\nexclude = [{}, { q = 3 }, { r = 1 }]\n",
            [
                "8:12: jobs[0].matrix.exclude[0]: would exclude every cell",
                "8:18: jobs[0].matrix.exclude[1].q: q has no such value: there are 1, 2, found 3",
                "8:29: jobs[0].matrix.exclude[2].r: unknown parameter 'r'; known here: q",
            ],
        ),
        (
            'q = { dates = ["2026-11-31", "11/30/26"] }\n',
            [
                '7:16: jobs[0].matrix.q.dates[0]: expected a day such as "2026-11-01", found '
                '"2026-11-31"',
                '7:30: jobs[0].matrix.q.dates[1]: expected a day such as "2026-11-01", found '
                '"11/30/26"',
            ],
        ),
        (
            'q = { dates = ["2026-11-02", "2026-11-01"] }\n',
            ["7:1: jobs[0].matrix.q: has no values: the last day is before the first one"],
        ),
        (
            'q = { fil = "x", column = "c" }\n',
            ["7:7: jobs[0].matrix.q.fil: unknown field 'fil'; did you mean 'file'?"],
        ),
        (
            'q = { file = "x.csv", results = "y" }\n',
            ["7:1: jobs[0].matrix.q: expected either file or results"],
        ),
        (
            "q = {}\n",
            [
                "7:1: jobs[0].matrix.q: expected a list of values, { range = [first, last] }, "
                "{ dates = [first, last] } or { file = NAME }, found a table"
            ],
        ),
        (
            "q = [1]\nsample = 0\n",
            ["8:1: jobs[0].matrix.sample: must be greater than 0, found 0"],
        ),
        (
            "q = [1]\nsample = { count = 1, sed = 2 }\n",
            ["8:23: jobs[0].matrix.sample.sed: unknown field 'sed'; did you mean 'seed'?"],
        ),
        (
            'q = [1]\nenv = [1]\n"a b" = [1]\n',
            [
                "8:1: jobs[0].matrix.env: is not a valid parameter name: use letters, digits "
                "and _; env is reserved",
                '9:1: jobs[0].matrix."a b": is not a valid parameter name: use letters, digits '
                "and _; env is reserved",
            ],
        ),
    ],
)  # fmt: skip
def test_mistake_in_a_matrix_is_reported_with_its_place(
    tmp_path: Path, matrix: str, expected: list[str]
) -> None:
    """Parts that do not fit together are reported with their place."""
    said = [line.removeprefix("spec.toml:") for line in mistakes_of(tmp_path, HEAD + matrix)]
    assert said == expected


def test_mistakes_of_many_rows_are_counted(tmp_path: Path) -> None:
    """The first twenty are shown, and then the number of the others."""
    (tmp_path / "d.csv").write_text("q,n\n" + "x\n" * 1000)
    said = mistakes_of(tmp_path, HEAD + ROWS)
    assert len(said) == 21
    assert said[0] == "d.csv:2: the row has 1 cell, expected 2 as in the first line"
    assert said[-1] == "… and 980 more mistakes"


def test_late_text_cannot_use_both_a_chunk_and_a_secret(tmp_path: Path) -> None:
    """A secret is rendered later, when the values of a chunk are no longer known."""
    (tmp_path / "u.txt").write_text("a\n")
    text = HEAD.replace("k-{{ q }}", "k-{{ q_chunk }}")
    text = text.replace("[jobs.matrix]\n", 'input = { x = "{{ env.K }}{{ q }}" }\n[jobs.matrix]\n')
    assert mistakes_of(
        tmp_path, text + 'q = { file = "u.txt", chunk_items = 5 }\n', env={"K": "hush"}
    )[0] == (
        "spec.toml:6:11: jobs[0].input.x: one text cannot use both env and a parameter with chunks"
    )


def test_data_with_too_many_values_is_refused() -> None:
    """The values of a matrix take a limited amount of memory."""
    source = Source(shown="d.csv", format="csv", content=b"q,r\na,1\nb,2\n")
    wanted = Wanted(columns=None, types={}, most_values=3)
    skipped: list[SourceMistake] = []
    with pytest.raises(SourceMistake) as refused:
        read_data(source, wanted, skipped.append)
    assert (refused.value.file, str(refused.value)) == (
        "d.csv", "has more than 3 values; read fewer columns, or split it",
    )  # fmt: skip


def test_data_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """The command does not read a file of any size into memory."""
    with (tmp_path / "d.csv").open("wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    assert mistakes_of(tmp_path, HEAD + ROWS) == [
        "spec.toml:7:1: jobs[0].matrix.rows: d.csv: has more than 134,217,728 bytes; split it"
    ]


def test_columns_of_parquet_are_parameters(tmp_path: Path) -> None:
    """If the library is installed, the types of Parquet are kept."""
    pa = pytest.importorskip("pyarrow")
    from datetime import date

    from pyarrow import parquet

    table = pa.table({"q": ["a", "b"], "n": [1, 2], "d": [date(2026, 11, 1), date(2026, 11, 2)]})
    parquet.write_table(table, tmp_path / "d.parquet")
    jobs = jobs_of(tmp_path, HEAD + 'rows = { file = "d.parquet" }\n')
    assert [job.params for job in jobs] == [
        {"q": "a", "n": 1, "d": "2026-11-01"},
        {"q": "b", "n": 2, "d": "2026-11-02"},
    ]
