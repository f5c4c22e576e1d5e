"""Sweeps whose rows are the items of other jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.model.item_sweeps import ItemSweep
from orchestrator.model.jobs import Job
from orchestrator.specfile import load_spec
from orchestrator.specfile.items import ItemJobs, item_sweeps
from orchestrator.specfile.templates.condition import compile_condition
from orchestrator.specfile.templates.template import TemplateMistake
from tests.support.specs import jobs_of, write_spec

HEAD = '[batch]\nname = "b"\n[params]\ncountry = "us"\n[[jobs]]\nname = "search-1"\nactor = "a/b"\n'
FULL = """\
[[jobs]]
name = "{{ shop | slug }}-{{ n }}"
actor = "a/c"
input = { shop = "{{ shop }}", list = ["{{ n }}"], c = "{{ country }}", on = "{{ date }}" }
memory_mbytes = 512
timeout_secs = 60
max_total_charge_usd = 0.3
retries = 2
reuse = "36h"
tags = ["t-{{ n }}"]
rules = [{ status = ["FAILED"], memory_factor = 1.5, max_memory_mbytes = 1024, log = ["x"] }]
expect = { share = { a = "30%" }, schema = { type = "object" } }
collect = { fields = ["a"], clean = true, log = true }
webhooks = [{ event_types = ["TEST"], request_url = "https://x.example/{{ n }}" }]
"""
TEXTS = st.text(min_size=1, max_size=12)
ROWS = st.lists(
    st.fixed_dictionaries({"shop": TEXTS, "n": st.integers(0, 10**6)}),
    min_size=1,
    max_size=20,
    unique_by=lambda row: row["n"],
)


def sweep_of(folder: Path, text: str) -> ItemSweep:
    """The sweep of items of a spec."""
    loaded = load_spec(write_spec(folder, HEAD + text))
    (sweep,) = item_sweeps(loaded, params={}, today=date(2026, 11, 25))
    return sweep


def made(sweep: ItemSweep, *items: Any, source: str = "search-1") -> list[Job | str]:
    """What a sweep makes of items; each row that was taken before is not new."""
    known: set[int] = set()

    def take_new(digests: Sequence[int]) -> set[int]:
        new = set(digests) - known
        known.update(new)
        return new

    maker = ItemJobs(sweep, Path("output/b/1"), is_local=False)
    return list(maker.make(source, items, take_new))


def rows(fields: str = '["n"]', more: str = "", *, name: str = "job-{{ n }}") -> str:
    return (
        f'[[jobs]]\nname = "{name}"\nactor = "a/c"\ninput = {{ n = "{{{{ n }}}}" }}\n'
        f'matrix = {{ rows = {{ needs = "search-*", fields = {fields}{more} }} }}\n'
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=ROWS)
def test_items_give_the_same_jobs_as_rows_of_a_file(
    tmp_path: Path, items: list[dict[str, Any]]
) -> None:
    """Whether a row comes from a file or from an item, its job is the same in all parts."""
    (tmp_path / "rows.json").write_text(json.dumps(items))
    listed = FULL + 'matrix = { rows = { file = "rows.json" } }\n'
    expected = [replace(job, seq=0) for job in jobs_of(tmp_path, HEAD + listed)[1:]]
    fields = 'matrix = { rows = { needs = "search-1", fields = ["shop", "n"] } }\n'
    assert made(sweep_of(tmp_path, FULL + fields), *items) == expected


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.integers(0, 9), max_size=30), size=st.integers(1, 7))
def test_chunks_hold_each_distinct_row_once_and_in_order(
    tmp_path: Path, values: list[int], size: int
) -> None:
    """Chunks are full except the last, are counted from 1, and lose and repeat nothing."""
    text = rows(more=f", distinct = true, chunk = {size}", name="job-{{ chunk }}")
    jobs = made(sweep_of(tmp_path, text), *({"n": value} for value in values))
    lists = [json.loads(job.input.body or b"")["n"] for job in jobs if isinstance(job, Job)]
    assert [n for one in lists for n in one] == list(dict.fromkeys(values))
    assert all(len(one) == size for one in lists[:-1])
    assert [getattr(job, "key", "") for job in jobs] == [
        f"job-{number}" for number in range(1, len(lists) + 1)
    ]


def test_row_that_gives_no_job_says_why(tmp_path: Path) -> None:
    """Each item that is wanted and gives no job has a sentence with its number."""
    found = made(sweep_of(tmp_path, rows()), 3, {"m": 1}, {"n": "a b"}, {"n": 1})
    assert found[:2] == [
        "item 1 of search-1: expected a table, found 3",
        "item 2 of search-1 has no field 'n'; where = 'n' leaves out such items",
    ]
    assert "'job-a b' is not a valid job key" in str(found[2])
    assert isinstance(found[3], Job)


def test_key_of_the_source_is_a_parameter(tmp_path: Path) -> None:
    """The key of the job that made an item can be used, and is then a parameter of the job."""
    (job,) = made(sweep_of(tmp_path, rows(name="{{ source }}-{{ n }}")), {"n": 1})
    assert isinstance(job, Job)
    assert (job.key, job.params) == ("search-1-1", {"country": "us", "n": 1, "source": "search-1"})


@pytest.mark.parametrize(
    ("text", "item", "holds"),
    [
        ("price > 10", {"price": 12}, True),
        ("price > 10", {}, False),
        ("price > 10", {"price": None}, False),
        ("price < 10", {}, False),
        ("not sold", {}, True),
        ("url", {"url": ""}, False),
        ("{{ url }}", {"url": "x"}, True),
        ("seller.rating > 4", {"seller": {"rating": None}}, False),
        ("seller.rating > 4", {"seller": {"rating": 5}}, True),
        ("'sale' in tags", {}, False),
        ("price * 2 > 10", {}, False),
        ("price | float > 10", {"price": "12"}, True),
        ("kind == 'a' or kind == 'b'", {"kind": "b"}, True),
    ],
)
def test_condition_takes_a_missing_field_as_false(
    text: str, item: Mapping[str, Any], holds: bool
) -> None:
    """A field that an item does not have, or that is null, is false in a condition."""
    assert compile_condition(text)(item) is holds


@pytest.mark.parametrize(
    ("text", "item", "message"),
    [
        ("price >", {}, "'price >' is not valid: unexpected end"),
        ("price > 10)", {}, "'price > 10)' is not valid: unexpected ')'"),
        ("price = 10", {}, "'price = 10' is not valid: write == to compare"),
        (
            "price > 10",
            {"price": "12"},
            "'price > 10' cannot be rendered: > cannot compare a text with a number; the filters",
        ),
        ("range(3)", {}, "functions and methods cannot be called"),
    ],
)
def test_condition_that_cannot_be_decided_says_why(
    text: str, item: Mapping[str, Any], message: str
) -> None:
    """A value of another type is a mistake, and never a row that is left out silently."""
    with pytest.raises(TemplateMistake) as caught:
        compile_condition(text)(item)
    assert message in str(caught.value)
