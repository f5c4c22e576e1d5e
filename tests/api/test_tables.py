"""The results of a batch as rows and as tables of other libraries."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from apify_emulator.testing.handle import EmulatorHandle
from orchestrator import Batch, BatchResult, Job
from orchestrator.api.tables import IncompleteTable
from orchestrator.errors import ConfigError, UsageError
from orchestrator.results.item_source import NotMerged
from tests.api.simulated import simulated, sweep

LARGE = 2**60 + 1


@pytest.fixture(scope="module")
def result(
    apify_emulator_of_session: EmulatorHandle, tmp_path_factory: pytest.TempPathFactory
) -> BatchResult:
    """A batch of two jobs with three items, one of which has a whole number and one a gap."""
    emulator = apify_emulator_of_session
    emulator.add_actor("acme/shop", [{"id": LARGE, "name": "Žluť"}, {"name": None}])
    return Batch(
        name="shops",
        jobs=[
            simulated("sim-{{ n }}", items=1, matrix_={"n": [7]}),
            Job(name="shop", actor="acme/shop", input={}),
        ],
        output=tmp_path_factory.mktemp("output"),
        token=emulator.token,
        base_url=emulator.url,
        settings={"counts_settle_secs": 0},
    ).run_sync()


def test_items_come_as_their_actors_made_them(result: BatchResult) -> None:
    """A stream of plain values, whole numbers of any size among them."""
    assert list(result.items()) == [
        {"index": 0},
        {"id": LARGE, "name": "Žluť"},
        {"name": None},
    ]
    assert next(iter(result.job("shop").items))["id"] == LARGE


def test_pandas_keeps_whole_numbers_exact(result: BatchResult) -> None:
    """A gap in a column of whole numbers does not make them floats."""
    import pandas as pd

    frame = result.to_pandas()
    assert list(frame["_job"]) == ["sim-7", "shop", "shop"]
    assert frame["id"].dtype == pd.Int64Dtype()
    assert frame["id"].dropna().tolist() == [LARGE]
    assert frame["n"].dropna().tolist() == [7]


def test_polars_and_arrow_have_the_same_rows(result: BatchResult) -> None:
    """One table, in the form of each library."""
    import polars as pl

    frame = result.to_polars()
    assert frame.filter(pl.col("_job") == "shop")["id"].to_list() == [LARGE, None]
    assert result.to_arrow().num_rows == frame.height == 3


def test_sql_answers_over_items_and_jobs(result: BatchResult) -> None:
    """DuckDB sees the tables `items` and `jobs`."""
    answer = result.sql(
        "SELECT key, status, count(*) FROM items JOIN jobs ON key = _job GROUP BY ALL ORDER BY 1"
    )
    assert answer.fetchall() == [("shop", "SUCCEEDED", 2), ("sim-7", "SUCCEEDED", 1)]


def test_sql_answers_where_no_job_is_left(emulator: EmulatorHandle) -> None:
    """A batch of only what is new may have no job; the columns of `jobs` are there all the same."""
    Path("ids.csv").write_text("id\n7\n")
    had = Batch(name="shops", jobs=[simulated("had-{{ id }}", matrix_={"id": ["7"]})]).run_sync()
    rows = {"file": "ids.csv", "except": {"results": "shops", "key": "id"}}
    job = simulated("new-{{ id }}", matrix_={"rows": rows})
    none = Batch(name="none", jobs=[job]).run_sync()
    query = "SELECT key, attempts + 1, cost_usd + 1, error FROM jobs"
    assert (len(had.sql(query).fetchall()), none.sql(query).fetchall()) == (1, [])
    line = json.loads((had.folder / "jobs.jsonl").read_text())
    assert had.sql("SELECT * FROM jobs").columns == [*line]


@pytest.mark.parametrize(
    ("library", "extra", "ask"),
    [
        ("pandas", "pandas", BatchResult.to_pandas),
        ("polars", "polars", BatchResult.to_polars),
        ("pyarrow", "parquet", BatchResult.to_arrow),
        ("pyarrow", "pandas", BatchResult.to_pandas),
        ("duckdb", "duckdb", lambda result: result.sql("SELECT 1")),
    ],
)
def test_missing_library_names_its_extra(
    result: BatchResult,
    library: str,
    extra: str,
    ask: Callable[[BatchResult], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A library that is not installed is answered with the command that installs it."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=rf"pip install 'apify-batch\[{extra}\]'"):
        ask(result)


def test_table_says_what_it_lacks(emulator: EmulatorHandle) -> None:
    """Items of jobs that have not succeeded are left out, with a warning at the program's line."""
    jobs = [sweep([1]), simulated("bad", outcome="FAILED")]
    result = Batch(name="shops", jobs=jobs).run_sync()
    with pytest.warns(IncompleteTable, match="without the items of 1 job that has") as warned:
        assert len(result.to_pandas()) == 1
    assert warned[0].filename == __file__


def test_batch_without_items_gives_an_empty_table(emulator: EmulatorHandle) -> None:
    """No item is no error."""
    result = Batch(name="shops", jobs=[simulated("none", items=0)]).run_sync()
    assert list(result.items()) == []
    assert len(result.to_pandas()) == 0


def test_items_in_another_format_are_refused_in_words(emulator: EmulatorHandle) -> None:
    """CSV has no values of JSON; the words name the file and the other way."""
    job = simulated("a", items=2, collect_={"format": "csv"})
    result = Batch(name="shops", jobs=[job]).run_sync()
    with pytest.raises(UsageError, match="its items are in csv, which is not read here: open"):
        list(result.items())
    assert result.jobs[0].items.path.read_text().count("\n") >= 2


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_lost_items_are_no_shorter_list(emulator: EmulatorHandle, form: str) -> None:
    """A file that was cut is an error, not fewer items; the words name the job and the file."""
    job = simulated("shop", items=3, collect_={"format": form})
    items = Batch(name="shops", jobs=[job]).run_sync().jobs[0].items
    one, cut = ("[{}]", "[{}") if form == "json" else ("{}\n", "{}\n{}\n{")
    assert len(list(items)) == 3
    items.path.write_text(one)
    with pytest.raises(NotMerged, match=rf"items.{form} has 1 items, but the ledger counts 3"):
        list(items)
    items.path.write_text(cut)
    with pytest.raises(NotMerged, match=rf"^shop: .*items.{form} cannot be read as JSON: "):
        list(items)
    items.path.unlink()
    with pytest.raises(NotMerged, match=r"cannot be read \(No such file or directory\)"):
        list(items)


def test_batch_of_a_store_is_found_from_any_folder(
    emulator: EmulatorHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that changes its working folder reads on, as with any other batch."""
    Batch(name="shops", jobs=[sweep([2])], output="output/.remote/s3%3A%2F%2Fbkt").run_sync()
    result = Batch.open("s3://bkt/shops")
    monkeypatch.chdir("/")
    assert result.folder.is_relative_to(tmp_path)
    assert len(list(result.items())) == 2
