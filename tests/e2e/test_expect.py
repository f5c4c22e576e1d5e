from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, sweep


def lines(folder: str) -> list[dict[str, Any]]:
    return [json.loads(row) for row in (Path(folder) / "jobs.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("expect", "complaint"),
    [
        ("min_items = 4", "it made 3 items, and at least 4 were expected"),
        ("max_items = 2", "it made 3 items, and at most 2 were expected"),
        ('fields = ["index", "price"]', "item 1 has no price"),
        (
            'share = { shop = 1.0, price = "95%" }',
            "0 of 3 items have price (0%), and at least 95% were expected",
        ),
        ('unique = "shop"', "item 2 has the same shop as an earlier one: [1]"),
        (
            "schema = { properties = { index = { maximum = 1 } } }",
            "item 3 does not fit the schema: index: 2 is greater than the maximum of 1",
        ),
        ("max_duration_secs = 0.01", "and at most 0.01 s were expected"),
    ],
)
def test_run_with_unexpected_data_is_rejected(
    command: Command, expect: str, complaint: str
) -> None:
    """A run that succeeded counts as failed, with the reason, and its data is kept."""
    job = f"expect = {{ {expect} }}"
    text = sweep("rejected", 1, job=job, duration_secs=0.1, items=3, item={"shop": 1})
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["REJECTED"]) == (1, 1)
    (row,) = lines(done.json["folder"])
    assert (row["status"], row["run_status"], row["items"]) == ("REJECTED", "SUCCEEDED", 3)
    assert complaint in row["error"]
    assert complaint in done.err
    data = Path(done.json["folder"]) / "jobs" / "job-1" / "items.jsonl"
    assert len(data.read_text().splitlines()) == 3


def test_run_with_the_expected_data_is_accepted(command: Command) -> None:
    """All expectations are set at once, and all hold."""
    expect = (
        'min_items = 3, max_items = 3, share = { shop = "100%" }, fields = ["index"], '
        'unique = ["shop", "index"], max_duration_secs = 60, schema = { required = ["shop"] }'
    )
    job = f"expect = {{ {expect} }}"
    command.write("s.toml", sweep(jobs=1, job=job, duration_secs=0.01, items=3, item={"shop": 1}))
    assert command.run("run", "s.toml").code == 0


def test_rejected_job_is_retried(command: Command) -> None:
    """Retries and rules treat a rejection as a failure."""
    job = 'retries = 2\nexpect = { min_items = 9 }\nrules = [{ status = "REJECTED", max = 2 }]'
    command.write("s.toml", sweep(jobs=1, job=job, duration_secs=0.01, items=1))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["attempts"]) == (1, 2)


def test_cost_of_runs_after_a_rejection_is_shown(command: Command) -> None:
    """The cost of runs that follow a rejection is shown beside the total cost."""
    job = "retries = 1\nexpect = { min_items = 9 }"
    command.write("s.toml", sweep("again", 1, job=job, duration_secs=0.01, items=1, cost_usd=0.5))
    done = command.run("run", "s.toml")
    assert (done.code, "$1.00 (paid again: $0.5000)" in done.out) == (1, True), done.out
    summary = json.loads((command.folder / "output/again/latest/summary.json").read_text())
    assert (summary["cost_usd"], summary["paid_again_usd"]) == (1.0, 0.5)


def test_drop_against_earlier_batches_is_rejected(command: Command) -> None:
    """The median of the last batches is usual; a smaller drop is accepted."""
    job = 'expect = { max_drop = "50%" }'
    for items in (100, 90, 2):
        command.write("s.toml", sweep("drop", 1, job=job, duration_secs=0.01, items=items))
        done = command.run("run", "s.toml", "--json")
        assert done.code == (1 if items == 2 else 0)
    (row,) = lines(done.json["folder"])
    assert "it made 2 items, 98% fewer than the usual 95 of earlier batches" in row["error"]


def test_collect_does_not_accept_what_was_rejected(command: Command) -> None:
    """A file that is downloaded again is checked again."""
    command.write("s.toml", sweep("again", 1, job="expect = { min_items = 9 }", items=1))
    folder = Path(command.run("run", "s.toml", "--json").json["folder"])
    (folder / "jobs" / "job-1" / "items.jsonl").unlink()
    done = command.run("collect", "again", "--json")
    assert (done.code, done.json["jobs"]["REJECTED"]) == (1, 1)


def test_mistakes_in_expectations_are_reported(command: Command) -> None:
    """Expectations that cannot be checked, and invalid schemas, are errors before any start."""
    job = (
        'expect = { fields = ["a"], max_drop = 3, schema = { type = "objct" }, shema = 1 }\n'
        'collect = { format = "csv" }'
    )
    command.write("s.toml", sweep(job=job))
    done = command.run("validate", "s.toml")
    assert done.code == 2
    assert 'expect.max_drop: must be a share such as "30%" or 0.3, found 3' in done.err
    assert "expect.shema: unknown field 'shema'; did you mean 'schema'?" in done.err
    command.write("s.toml", sweep(job=job.replace(", max_drop = 3", "").replace(", shema = 1", "")))
    done = command.run("validate", "s.toml")
    assert 'expect.fields: needs items in the format "jsonl"' in done.err
    assert "expect.schema: is not a JSON Schema: " in done.err
