from __future__ import annotations

import io
import json
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.specfile.sweep.axes import chunk_edges
from orchestrator.specfile.sweep.cells import (
    Axis,
    Chunks,
    Matrix,
    Sample,
    cell_at,
    cells,
    day_values,
    range_values,
)
from orchestrator.specfile.sweep.matrix import ColumnTable
from tests.support.specs import jobs_of, mistakes_of

HEAD = '[batch]\nname = "b"\n[[jobs]]\nactor = "a/b"\n'


def keys(folder: Path, name: str, matrix: str) -> list[str]:
    """The keys of a sweep."""
    return [
        str(job.key) for job in jobs_of(folder, f'{HEAD}name = "{name}"\n[jobs.matrix]\n{matrix}')
    ]


def write(folder: Path, name: str, text: str) -> None:
    """Writes a data file beside the spec."""
    (folder / name).write_bytes(text.encode())


def test_zipped_parameters_are_paired(tmp_path: Path) -> None:
    """Their values are paired, and combined with all others."""
    matrix = 'a = ["x", "y"]\nb = [1, 2]\nc = [8, 9]\nzip = ["a", "c"]\n'
    assert keys(tmp_path, "{{ a }}{{ b }}{{ c }}", matrix) == ["x18", "x28", "y19", "y29"]


def test_several_groups_may_be_zipped(tmp_path: Path) -> None:
    """Each group is paired separately."""
    matrix = 'a = ["x", "y"]\nb = [1, 2]\nc = [8]\nd = [9]\nzip = [["a", "b"], ["c", "d"]]\n'
    assert keys(tmp_path, "{{ a }}{{ b }}{{ c }}{{ d }}", matrix) == ["x189", "y289"]


def test_rows_of_the_spec_are_combined_with_parameters(tmp_path: Path) -> None:
    """The values of each row stay together."""
    matrix = 'n = [1, 2]\nrows = [{ a = "x", b = "s" }, { a = "y", b = "t" }]\n'
    assert keys(tmp_path, "{{ a }}{{ b }}{{ n }}", matrix) == ["xs1", "xs2", "yt1", "yt2"]


@pytest.mark.parametrize(
    ("name", "text", "more"),
    [
        ("d.csv", 'a,n,"other one"\r\nx,1,\r\n"y",2,"p\nq"\r\n', ""),
        ("d.csv", "\ufeffa;n\nx;1\n\ny;2\n", ', delimiter = ";"'),
        ("d.jsonl", '{"a":"x","n":1}\n\n{"n":2,"a":"y","z":0}\n', ""),
        ("d.json", '[{"a":"x","n":1},{"a":"y","n":2}]', ""),
        ("data", "a,n\nx,1\ny,2\n", ', format = "csv"'),
    ],
    ids=["csv", "semicolons", "jsonl", "json", "named"],
)
def test_rows_come_from_files(tmp_path: Path, name: str, text: str, more: str) -> None:
    """Each row of a file is a job, with values of the requested types."""
    write(tmp_path, name, text)
    rows = f'rows = {{ file = "{name}", columns = ["a", "n"], types = {{ n = "int" }}{more} }}\n'
    jobs = jobs_of(tmp_path, f'{HEAD}name = "{{{{ a }}}}"\n[jobs.matrix]\n{rows}')
    assert [job.params for job in jobs] == [{"a": "x", "n": 1}, {"a": "y", "n": 2}]


def test_columns_may_have_other_names_as_parameters(tmp_path: Path) -> None:
    """A column with a name that templates cannot use gets another name."""
    write(tmp_path, "d.csv", "Product Name,x\nhat,1\n")
    rows = 'rows = { file = "d.csv", columns = { product = "Product Name" } }\n'
    assert keys(tmp_path, "{{ product }}", rows) == ["hat"]


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [
        ("d.csv", "q,r\na,1\nb,2\n", ', column = "q"'),
        ("d.txt", "a\n\n  b \n", ""),
        ("d.json", '["a", "b"]', ""),
        ("d.jsonl", '{"q":"a"}\n{"q":"b"}', ', column = "q"'),
    ],
    ids=["csv", "text", "json", "jsonl"],
)
def test_values_of_a_parameter_come_from_a_file(
    tmp_path: Path, name: str, text: str, field: str
) -> None:
    """A column of a table, the lines of a text or the elements of a list are values."""
    write(tmp_path, name, text)
    assert keys(tmp_path, "{{ q }}", f'q = {{ file = "{name}"{field} }}\n') == ["a", "b"]


def test_data_in_another_encoding_is_read_when_it_is_named(tmp_path: Path) -> None:
    """A table from an old office program can be read."""
    (tmp_path / "d.csv").write_bytes("q\ncafé\n".encode("cp1252"))
    field = 'q = { file = "d.csv", column = "q", encoding = "cp1252" }\n'
    assert keys(tmp_path, "{{ q | slug }}", field) == ["cafe-850f7dc43910"]


def test_types_are_read_from_text(tmp_path: Path) -> None:
    """CSV has only text; the type of a column converts it."""
    write(tmp_path, "d.csv", 'i,f,b,j\n-3,1.5,TRUE,"[1,{}]"\n')
    types = 'types = { i = "int", f = "float", b = "bool", j = "json" }'
    text = f'{HEAD}name = "k"\n[jobs.matrix]\nrows = {{ file = "d.csv", {types} }}\n'
    (job,) = jobs_of(tmp_path, text)
    assert json.dumps(job.params) == '{"i": -3, "f": 1.5, "b": true, "j": [1, {}]}'


def test_dates_are_days_with_both_ends(tmp_path: Path) -> None:
    """Days are ISO text, also across the end of a month."""
    days = (
        'd = { dates = ["2026-11-29", 2026-12-01] }\ne = { dates = ["2026-01-01", "2026-01-09"], '
    )
    assert keys(tmp_path, "{{ d }}_{{ e }}", days + "step_days = 7 }\n") == [
        f"{d}_{e}"
        for d in ("2026-11-29", "2026-11-30", "2026-12-01")
        for e in ("2026-01-01", "2026-01-08")
    ]


def test_standard_input_is_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe can pass rows to the command."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'{"q":"a"}\n{"q":"b"}\n')))
    assert keys(tmp_path, "{{ q }}", 'rows = { file = "-", format = "jsonl" }\n') == ["a", "b"]


def test_results_of_another_batch_are_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The items of its succeeded jobs are values, in the order of its jobs."""
    monkeypatch.chdir(tmp_path)
    batch = tmp_path / "output" / "first" / "latest"
    lines = []
    for key, status in (("b", "SUCCEEDED"), ("x", "FAILED"), ("a", "SUCCEEDED")):
        (batch / "jobs" / key).mkdir(parents=True)
        (batch / "jobs" / key / "items.jsonl").write_text(f'{{"url":"{key}1"}}\n{{"url":"{key}2"}}')
        lines.append(json.dumps({"key": key, "status": status}))
    (batch / "jobs.jsonl").write_text("\n".join(lines))
    (batch / "summary.json").write_text('{"state": "ended", "exit_code": 1}')
    assert keys(tmp_path, "{{ url }}", 'url = { results = "first", column = "url" }\n') == [
        "b1", "b2", "a1", "a2",
    ]  # fmt: skip


def test_excluded_combinations_are_left_out(tmp_path: Path) -> None:
    """A combination with all values of an entry is not a job; a list means any of its values."""
    matrix = 'a = ["x", "y"]\nb = [1, 2, true]\nexclude = [{ a = "x", b = [1, 2] }, { b = true }]\n'
    assert keys(tmp_path, "{{ a }}{{ b }}", matrix) == ["y1", "y2"]


def test_included_cells_are_added(tmp_path: Path) -> None:
    """Cells that no combination gives follow the others."""
    matrix = 'a = ["x"]\nb = [1]\nexclude = [{ a = "x" }]\ninclude = [{ b = 9, a = "x" }]\n'
    assert keys(tmp_path, "{{ a }}{{ b }}", matrix) == ["x9"]
    assert keys(tmp_path, "{{ a }}", 'include = [{ a = "p" }, { a = "q" }]\n') == ["p", "q"]


@given(st.permutations(range(30)), st.permutations("abcdef"), st.integers(-(2**63), 2**63 - 1))
def test_sample_does_not_depend_on_the_order_of_values(
    numbers: list[int], letters: list[str], seed: int
) -> None:
    """The same seed selects the same cells of the same values, in any order."""
    made = []
    for one, two in ((numbers, letters), (sorted(numbers), sorted(letters))):
        axes = (Axis(names=("n",), columns=(one,)), Axis(names=("a",), columns=(two,)))
        matrix = Matrix(axes=axes, sample=Sample(10, seed))
        assert all(cell_at(matrix, place) == cell for place, cell in cells(matrix))
        made.append({tuple(cell.items()) for _, cell in cells(matrix)})
    assert made[0] == made[1]
    assert len(made[0]) == 10


def test_sample_depends_on_the_seed_and_obeys_exclusions(
    tmp_path: Path,
) -> None:
    """Excluded cells are never drawn, and included ones are always there, with any seed."""
    matrix = "n = { range = [1, 100] }\nexclude = [{ n = [1, 2, 3] }]\ninclude = [{ n = 1000 }]\n"
    one = keys(tmp_path, "k{{ n }}", f"{matrix}sample = {{ count = 90, seed = 1 }}\n")
    two = keys(tmp_path, "k{{ n }}", f"{matrix}sample = {{ count = 90, seed = 2 }}\n")
    assert len(one) == len(two) == 91
    assert one[-1] == two[-1] == "k1000"
    assert one != two
    assert not {"k1", "k2", "k3"} & {*one, *two}


def test_parameters_are_used_wherever_a_job_differs(tmp_path: Path) -> None:
    """Name, input, options, tags and pools take the values of a cell."""
    write(tmp_path, "d.csv", "shop,memory\nhats,256\n")
    text = (
        f"{HEAD}name = '{{{{ shop }}}}'\n"
        "input = { s = '{{ shop }}', m = '{{ memory }}' }\n"
        "memory_mbytes = '{{ memory }}'\ntags = ['t-{{ shop }}']\npools = ['{{ shop }}']\n"
        "matrix.rows = { file = 'd.csv', types = { memory = 'int' } }\n[pools.hats]\n"
    )
    (job,) = jobs_of(tmp_path, text)
    assert (job.key, job.tags, job.pools) == ("hats", ("t-hats",), ("hats",))
    assert (job.options.memory_mbytes, job.input.body) == (256, b'{"s":"hats","m":256}')


def test_chunks_keep_their_keys_when_lines_are_added(tmp_path: Path) -> None:
    """A long list is split into jobs; more lines change only the last job."""
    text = (
        f"{HEAD}name = 'part-{{{{ urls_chunk }}}}'\ninput = {{ startUrls = '{{{{ urls }}}}' }}\n"
        "matrix.urls = { file = 'urls.txt', chunk_items = 2 }\n"
    )
    write(tmp_path, "urls.txt", "a\nb\nc\n")
    before = jobs_of(tmp_path, text)
    assert [(job.key, job.input.body) for job in before] == [
        ("part-1", b'{"startUrls":["a","b"]}'),
        ("part-2", b'{"startUrls":["c"]}'),
    ]
    write(tmp_path, "urls.txt", "a\nb\nc\nd\ne\n")
    after = jobs_of(tmp_path, text)
    assert after[0] == before[0]
    assert [job.key for job in after] == ["part-1", "part-2", "part-3"]
    assert before[0].params == {"urls_chunk": 1}


@given(st.lists(st.text("ab", max_size=9), min_size=1), st.integers(12, 40))
def test_chunks_by_bytes_are_never_larger(lines: list[str], most: int) -> None:
    """No chunk exceeds its bytes, and together they are the list."""
    chunks = Chunks(lines, chunk_edges(lines, ColumnTable(file="x", chunk_bytes=most)))
    assert [line for chunk in chunks for line in chunk] == lines
    assert all(len(json.dumps(chunk, separators=(",", ":"))) <= most + 1 for chunk in chunks)


def test_days_are_empty_if_the_last_one_is_earlier() -> None:
    """There are no days from tomorrow to today."""
    assert list(day_values(date(2026, 1, 2), date(2026, 1, 1))) == []


def test_first_axis_is_not_held_in_memory() -> None:
    """The first cells of a sweep come at once, however long its first parameter is."""
    axes = (
        Axis(names=("n",), columns=(range_values(1, 10**12),)),
        Axis(names=("m",), columns=([1, 2],)),
    )
    assert next(cells(Matrix(axes=axes))) == (0, {"n": 1, "m": 1})


def test_sample_of_too_many_combinations_is_refused(tmp_path: Path) -> None:
    """If the choice would take too long, the spec has a mistake."""
    text = (
        f'{HEAD}name = "{{{{ n }}}}"\nmatrix = {{ n = {{ range = [1, 99999999] }}, sample = 3 }}\n'
    )
    (said,) = mistakes_of(tmp_path, text)
    assert said == (
        "spec.toml:6:43: jobs[0].matrix.sample: there are more than 10,000,000 combinations to "
        "choose from"
    )
