"""Rows that earlier batches already have."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import SpecError
from orchestrator.specfile import expand, load_spec
from orchestrator.specfile.tables.data_source import nothing_told
from tests.support.specs import mistakes_of, write_spec

SPEC = """\
[batch]
name = "products"
[[jobs]]
name = "product-{{ id }}"
actor = "a/b"
input = { id = "{{ id }}" }
matrix = { rows = { file = "rows.json", except = { results = "products", key = "id" } } }
"""


RESULTS = SPEC.replace('file = "rows.json", except = { ', "").replace(', key = "id" }', "")
"""The rows are the items of the earlier batch."""


def earlier(
    folder: Path,
    name: str,
    *jobs: dict[str, Any],
    items: tuple[Any, ...] = (),
    **summary: Any,
) -> None:
    """A batch of an earlier night; each job has the items."""
    home = folder / "output" / "products" / name
    home.mkdir(parents=True)
    facts = {"state": "ended", "exit_code": 0, "platform": "https://api.apify.com", **summary}
    (home / "summary.json").write_text(json.dumps(facts))
    lines = ({"status": "SUCCEEDED", "params": {}, **job} for job in jobs)
    (home / "jobs.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    for job in jobs:
        (home / "jobs" / job["key"]).mkdir(parents=True)
        path = home / "jobs" / job["key"] / "items.jsonl"
        path.write_text("".join(f"{json.dumps(item)}\n" for item in items))


def keys(
    folder: Path,
    *ids: Any,
    is_local: bool = False,
    spec: str = SPEC,
    tell: Callable[[str], None] = nothing_told,
) -> list[str]:
    (folder / "rows.json").write_text(json.dumps([{"id": one} for one in ids]))
    loaded = load_spec(write_spec(folder, spec))
    output, today = folder / "output", date(2026, 11, 25)
    jobs = expand(loaded, env={}, today=today, output=output, is_local=is_local, tell=tell)
    return [job.key for job in jobs]


def test_rows_of_earlier_batches_are_left_out(tmp_path: Path) -> None:
    """Both the parameters and the items of jobs that succeeded say what a batch has."""
    earlier(tmp_path, "1", {"key": "a", "params": {"id": "1"}})
    earlier(tmp_path, "2", {"key": "b"}, items=({"id": 2}, {"other": 3}, [4]))
    assert keys(tmp_path, "1", "2", "3", 4) == ["product-3", "product-4"]


@pytest.mark.parametrize(
    ("job", "summary"),
    [
        ({"status": "FAILED"}, {"exit_code": 1}),
        ({}, {"state": "stopped", "exit_code": 143}),
        ({}, {"state": "stopped", "exit_code": 3, "stop_kind": "DiskFull"}),
        ({}, {"platform": "local"}),
    ],
    ids=["failed", "interrupted", "full disk", "local"],
)
def test_rows_that_no_whole_result_has_are_run(
    tmp_path: Path, job: dict[str, Any], summary: dict[str, Any]
) -> None:
    """Failed jobs, interrupted batches and trials on the local platform do not count."""
    earlier(tmp_path, "1", {"key": "a", "params": {"id": "1"}, **job}, **summary)
    assert keys(tmp_path, "1") == ["product-1"]


@pytest.mark.parametrize("kind", [{"stop_kind": "BudgetExhausted"}, {}], ids=["", "old"])
def test_batch_that_its_budget_stopped_counts(tmp_path: Path, kind: dict[str, str]) -> None:
    """A list that is longer than the budget of one night is done in several."""
    stopped: dict[str, Any] = {"state": "stopped", "exit_code": 3, **kind}
    earlier(tmp_path, "1", {"key": "a", "params": {"id": "1"}}, **stopped)
    assert keys(tmp_path, "1", "2") == ["product-2"]
    assert keys(tmp_path, "1", "2", is_local=True) == ["product-1", "product-2"]


@pytest.mark.parametrize("text", ["[]", "3", '{"state": "fine"}', "{}"])
def test_summary_of_another_program_is_no_batch(tmp_path: Path, text: str) -> None:
    """A folder beside the batches may have a file of that name."""
    earlier(tmp_path, "1", {"key": "a", "params": {"id": "1"}})
    earlier(tmp_path, "2", {"key": "b", "params": {"id": "2"}})
    (tmp_path / "output" / "products" / "2" / "summary.json").write_text(text)
    assert keys(tmp_path, "1", "2") == ["product-2"]


def test_damaged_summary_is_named(tmp_path: Path) -> None:
    """The rows of its batch must not be run again without a word."""
    earlier(tmp_path, "1", {"key": "a", "params": {"id": "1"}})
    (tmp_path / "output" / "products" / "1" / "summary.json").write_text('{"state": "en')
    with pytest.raises(SpecError, match=r"products/1/summary.json: is damaged"):
        keys(tmp_path, "1")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        '{"x": 1}',
        '{"status": "SUCCEEDED", "key": 5, "params": {}}',
        '{"status": "SUCCEEDED", "key": "a", "params": [1]}',
        '{"status": "SUCCEEDED", "key": "../../../../other", "params": {}}',
    ],
)
@pytest.mark.parametrize("spec", [SPEC, RESULTS], ids=["except", "results"])
def test_listing_that_somebody_has_changed_is_named(tmp_path: Path, spec: str, line: str) -> None:
    """It is no bug of ours, and its keys lead to no folder elsewhere."""
    earlier(tmp_path / "night", "latest", {"key": "a"})
    (tmp_path / "night" / "other").mkdir()
    (tmp_path / "night" / "other" / "items.jsonl").write_text('{"id": "precious"}')
    listing = tmp_path / "night" / "output" / "products" / "latest" / "jobs.jsonl"
    listing.write_text(line + "\n")
    with pytest.raises(SpecError, match=r"latest/jobs.jsonl: is damaged"):
        keys(tmp_path / "night", 1, spec=spec)


def test_nothing_new_gives_no_job(tmp_path: Path) -> None:
    """A night without new rows is no mistake."""
    earlier(tmp_path, "1", {"key": "a", "params": {"id": "1"}})
    assert keys(tmp_path, "1") == []


def test_key_must_be_a_parameter(tmp_path: Path) -> None:
    """A misspelt key is a mistake with the nearest name."""
    (tmp_path / "rows.json").write_text('[{"id": 1, "shop": 2}]')
    (mistake,) = mistakes_of(tmp_path, SPEC.replace('key = "id"', 'key = "sho"'))
    assert mistake.endswith("except.key: unknown parameter 'sho'; did you mean 'shop'?")


def test_name_that_no_batch_has_is_told(tmp_path: Path) -> None:
    """A misspelt name would run all rows each night; the own name has no batch at first."""
    heard: list[str] = []
    assert keys(tmp_path, 1, tell=heard.append) == ["product-1"]
    assert heard == []
    misspelt = SPEC.replace('results = "products"', 'results = "product"')
    assert keys(tmp_path, 1, spec=misspelt, tell=heard.append) == ["product-1"]
    home = tmp_path / "output" / "product"
    assert heard == [f"{home}: no batch has this name, so except leaves nothing out"]


def test_key_that_no_earlier_job_has_is_told(tmp_path: Path) -> None:
    """The values of chunks are not kept: if no item has them either, nothing is ever left out."""
    heard: list[str] = []
    earlier(tmp_path, "1", {"key": "a"}, items=({"other": 1},))
    assert keys(tmp_path, 1, tell=heard.append) == ["product-1"]
    (said,) = heard
    assert said.endswith(
        "products: no job that succeeded has 'id' as a parameter or in its items, so except leaves "
        "nothing out"
    )
    earlier(tmp_path, "2", {"key": "b"}, items=({"id": 7},))
    assert keys(tmp_path, 1, tell=heard.append) == ["product-1"]
    assert len(heard) == 1


def test_jobs_without_items_of_another_batch_are_told(tmp_path: Path) -> None:
    """Fewer rows than that batch would have if all of its jobs had succeeded are no secret."""
    heard: list[str] = []
    good = {"key": "a"}
    earlier(tmp_path, "latest", good, {"key": "b", "status": "FAILED"}, items=({"id": 7},))
    assert keys(tmp_path, spec=RESULTS, tell=heard.append) == ["product-7"]
    folder = tmp_path / "output" / "products" / "latest"
    assert heard == [f"{folder}: without the items of 1 job that has not succeeded"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=st.sets(st.integers(0, 30)), now=st.lists(st.integers(0, 30), unique=True, min_size=1))
def test_each_row_runs_in_one_night(tmp_path_factory: Any, old: set[int], now: list[int]) -> None:
    """Exactly the rows that no earlier batch has become jobs, in their order."""
    folder = tmp_path_factory.mktemp("night")
    earlier(folder, "1", *({"key": f"k{n}", "params": {"id": n}} for n in sorted(old)))
    assert keys(folder, *now) == [f"product-{n}" for n in now if n not in old]
