from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.specfile import expand, load_spec

SPEC = """
[batch]
name = "b"
[results]
{results}
[[jobs]]
name = "{{{{ country }}}}"
actor = "a/b"
{job}
[jobs.matrix]
country = ["us", "de"]
"""


def mistakes(folder: Path, results: str, job: str = "") -> list[str]:
    path = folder / "s.toml"
    path.write_text(SPEC.format(results=results, job=job))
    try:
        list(expand(load_spec(path), today=date(2026, 11, 26), output=folder / "output"))
    except SpecError as error:
        return [mistake.message for mistake in error.mistakes]
    return []


def newest(
    folder: Path, *items: str, results: bool = False, failed: int = 0, spec: str = ""
) -> None:
    """Writes a batch to disk, as far as its columns are read."""
    home = folder / "output" / "b" / "20261125T000000Z-1"
    (home / "jobs" / "us").mkdir(parents=True)
    (home.parent / "latest").symlink_to(home.name)
    jobs = {"SUCCEEDED": 1, "FAILED": failed}
    summary = {"items": len(items), "bytes": 100, "jobs": jobs}
    (home / "summary.json").write_text(json.dumps(summary))
    (home / "jobs.jsonl").write_text('{"key":"us"}\n')
    (home / "spec.toml").write_text(spec)
    if results:
        (home / "results").mkdir()
        columns = [{"from": "field", "of": name} for name in items]
        (home / "results" / "columns.json").write_text(json.dumps({"columns": columns}))
    else:
        (home / "jobs" / "us" / "items.jsonl").write_text("".join(f"{i}\n" for i in items))


@pytest.mark.parametrize("field", ["unique", "partition_by"])
def test_columns_are_checked_against_the_kept_fields(tmp_path: Path, field: str) -> None:
    """A wrong name is an error before the first start, with the right name."""
    job = 'collect = { fields = ["url", "price"] }'
    assert mistakes(tmp_path, f'{field} = ["url", "country", "_job"]', job) == []
    assert mistakes(tmp_path, f'{field} = ["prise"]', job) == [
        "unknown column 'prise'; did you mean 'price'?"
    ]


def test_new_names_of_fields_are_columns(tmp_path: Path) -> None:
    """The names that `output_fields` gives count."""
    job = 'collect = { fields = ["u"], output_fields = ["url"] }'
    assert mistakes(tmp_path, 'unique = "url"', job) == []
    assert len(mistakes(tmp_path, 'unique = "u"', job)) == 1


@pytest.mark.parametrize("results", [True, False])
def test_columns_are_checked_against_the_newest_whole_batch(tmp_path: Path, results: bool) -> None:
    """The columns are those of its table, or of its items."""
    newest(tmp_path, *(["url", "a"] if results else ['{"url":1}', '{"a":1}']), results=results)
    assert mistakes(tmp_path, 'unique = "a"') == []
    (found,) = mistakes(tmp_path, 'unique = "ulr"')
    assert "20261125T000000Z-1, has 'ulr'; did you mean 'url'?" in found
    assert mistakes(tmp_path, 'unique = "sku"', 'collect = { fields = ["sku"] }') == []


def test_batch_with_failures_does_not_define_columns(tmp_path: Path) -> None:
    """The failed jobs might have had them."""
    newest(tmp_path, '{"url":1}', failed=1)
    assert mistakes(tmp_path, 'unique = "ulr"') == []


def test_spec_that_has_run_is_not_refused_for_its_items(tmp_path: Path) -> None:
    """Items without the field do not stop the next batch."""
    newest(tmp_path, '{"error":1}', spec=SPEC.format(results='unique = "url"', job=""))
    assert mistakes(tmp_path, 'unique = "url"') == []
    assert len(mistakes(tmp_path, 'unique = "sku"')) == 1


@pytest.mark.parametrize(
    ("defaults", "job", "expected"),
    [
        ('format = "csv"', 'format = "jsonl"', []),
        ('format = "csv"', "log = true", ['must be "jsonl": [results] merges no other format']),
        ("log = true", "items = false", ["must be true: [results] has the items of all jobs"]),
    ],
)
def test_what_counts_is_how_each_job_collects(
    tmp_path: Path, defaults: str, job: str, expected: list[str]
) -> None:
    """A default that each job replaces is no mistake; a job that cannot be merged is named."""
    results = f'format = "csv"\n[defaults]\ncollect = {{ {defaults} }}'
    assert mistakes(tmp_path, results, f"collect = {{ {job} }}") == expected
