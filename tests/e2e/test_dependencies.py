from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, ServedPlatform

SIMULATED = 'actor = "orchestrator/simulated"\n'


def spec(*jobs: str, limits: str = "") -> str:
    return f'[batch]\nname = "needs"\n{limits}' + "".join(
        f"[[jobs]]\n{SIMULATED}{job}\n" for job in jobs
    )


def lines(done: Any) -> dict[str, dict[str, Any]]:
    rows = (Path(done.json["folder"]) / "jobs.jsonl").read_text().splitlines()
    return {row["key"]: row for row in map(json.loads, rows)}


SOURCE = (
    'name = "collect-{{ n }}"\nmatrix = { n = [1, 2] }\n'
    'input = { duration_secs = 0.2, items = 2, item = { n = "{{ n }}" }, output = { n = 2 } }\n'
    "collect = { output = true }"
)


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_job_gets_the_results_of_the_jobs_that_it_needs(
    command: Command, platform: ServedPlatform, form: str
) -> None:
    """Before it starts, it gets a dataset's id, items and an output record of other jobs."""
    merge = (
        'name = "merge"\nneeds = ["collect-*"]\n'
        "input = { duration_secs = 0.01, one = '{{ needs[\"collect-1\"].dataset_id }}', "
        "all = '{{ needs[\"collect-*\"].run_id }}', rows = '{{ needs[\"collect-2\"].items }}', "
        "output = '{{ needs[\"collect-2\"].output.n }}' }\n"
    )
    source = SOURCE.replace("{ output = true", f'{{ format = "{form}", output = true')
    command.write("s.toml", spec(merge, source))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    rows = lines(done)
    store = platform.get(f"/actor-runs/{rows['merge']['run_id']}")["defaultKeyValueStoreId"]
    given = platform.get(f"/key-value-stores/{store}/records/INPUT")
    assert given["one"] == rows["collect-1"]["dataset_id"]
    assert given["all"] == [rows["collect-1"]["run_id"], rows["collect-2"]["run_id"]]
    assert given["rows"] == [{"n": 2, "index": 0}, {"n": 2, "index": 1}]
    assert given["output"] == 2
    assert rows["merge"]["started_at"] > rows["collect-2"]["finished_at"]
    kept = json.loads((Path(done.json["folder"]) / "jobs" / "merge" / "input.json").read_text())
    assert kept["one"] == '{{ needs["collect-1"].dataset_id }}'


def test_items_in_a_table_are_no_part_of_an_input(command: Command) -> None:
    """Which setting helps is said before the first start; of a job that an item makes, later."""
    needing = 'name = "all"\nneeds = ["collect-1"]\n'
    needing += "input = { rows = '{{ needs[\"collect-1\"].items }}' }\n"
    source = SOURCE.replace("{ output", '{ format = "csv", output')
    said = 'keeps its items as csv, which an input cannot have: set collect.format = "jsonl"'
    command.write("s.toml", spec(needing, source))
    done = command.run("run", "s.toml")
    assert (done.code, said in done.err) == (2, True), done.err

    first = 'name = "list"\ninput = { duration_secs = 0.01, items = 1, item = { n = 1 } }'
    rows = 'matrix = { rows = { needs = "list", fields = ["n"] } }'
    source = source.replace("matrix = { n = [1, 2] }", rows)
    command.write("s.toml", spec(first, source, needing))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 1, done.err
    assert said in lines(done)["all"]["error"]


def test_ledger_is_opened_once_for_each_phase(command: Command) -> None:
    """Each opening checks the whole file, so the number must not grow with the jobs."""
    needing = "".join(
        f'\n[[jobs]]\n{SIMULATED}name = "after-{n}"\nneeds = ["collect-*"]\n'
        "input = { duration_secs = 0.01, one = '{{ needs[\"collect-1\"].run_id }}' }\n"
        for n in range(3)
    )
    command.write("s.toml", spec(SOURCE) + needing)
    counting = replace(command, program="tests.support.openings:main_counting")
    done = counting.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 5), done.err
    opened = (command.folder / "openings.txt").read_text().splitlines()
    assert len(opened) == 3


def test_selection_that_leaves_out_needed_jobs_is_told(command: Command) -> None:
    """A job that starts without the results of others would look like one that had them."""
    needing = 'name = "all"\nneeds = ["collect-*"]\n'
    needing += "input = { duration_secs = 0.01, of = '{{ needs[\"collect-*\"].run_id }}' }\n"
    command.write("s.toml", spec(needing, SOURCE))
    for arguments in (["--exclude", "name:collect-2"], ["--limit", "2"]):
        done = command.run("run", "s.toml", *arguments)
        assert done.code == 0, done.err
        said = "warning: needed jobs left out jobs=1 first=all needs collect-2"
        assert said in done.err
    done = command.run("run", "s.toml", "--select", "name:*")
    assert (done.code, "left out" in done.err) == (0, False), done.err


def test_failed_job_skips_all_that_depend_on_it(command: Command) -> None:
    """The reason names the failed job; jobs that do not depend on it continue."""
    command.write(
        "s.toml",
        spec(
            'name = "bad"\ninput = { duration_secs = 0.01, outcome = "FAILED" }',
            'name = "second"\nneeds = ["bad"]\ninput = {}',
            'name = "third"\nneeds = ["second"]\ninput = {}',
            'name = "free"\ninput = { duration_secs = 0.01 }',
        ),
    )
    done = command.run("run", "s.toml", "--json")
    jobs = done.json["jobs"]
    assert (done.code, jobs["SKIPPED"], jobs["SUCCEEDED"], done.json["runs"]) == (1, 2, 1, 2)
    assert lines(done)["second"]["error"] == "it needs bad, which is FAILED"
    assert lines(done)["third"]["error"] == "it needs second, which is SKIPPED"


def test_retry_runs_the_skipped_jobs(command: Command) -> None:
    """When the needed job succeeds, the jobs that depend on it run."""
    command.write(
        "s.toml",
        spec(
            'name = "flaky"\ninput = { duration_secs = 0.01, fail_attempts = 1, of = "retry" }',
            'name = "second"\nneeds = ["flaky"]\ninput = { duration_secs = 0.01 }',
        ),
    )
    assert command.run("run", "s.toml").code == 1
    done = command.run("retry", "needs", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 2)


def test_jobs_that_start_together_download_what_they_all_need_once(command: Command) -> None:
    """Its folder was deleted; each of them gets all items, and no download disturbs another one."""
    command.write(
        "s.toml",
        spec(
            'name = "list"\ninput = { duration_secs = 0.01, items = 2000 }',
            'name = "gate"\ninput = { duration_secs = 0.01, fail_attempts = 1 }',
            'name = "part-{{ n }}"\nmatrix = { n = { range = [1, 12] } }\n'
            'needs = ["list", "gate"]\n'
            "input = { duration_secs = 0.01, items = 1, "
            'item = { rows = \'{{ needs.list["items"] | length }}\', n = "{{ n }}" } }',
            limits="max_runs = 20\n",
        ),
    )
    folder = Path(command.run("run", "s.toml", "--json").json["folder"])
    shutil.rmtree(folder / "jobs" / "list")
    done = command.run("retry", "needs", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 14), done.err
    for number in range(1, 13):
        (item,) = (folder / "jobs" / f"part-{number}" / "items.jsonl").read_text().splitlines()
        assert json.loads(item)["rows"] == 2000
    log = (folder / "log.jsonl").read_text()
    assert log.count('"event":"results_downloaded_again"') == 1
    assert command.run("verify", "needs").code == 0


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        (['name = "a"\nneeds = ["b"]', 'name = "b"\nneeds = ["a"]'], "a needs b needs a"),
        (['name = "a"\nneeds = ["*"]'], "a needs a"),
        (['name = "a"\nneeds = ["collect-*"]'], "a needs 'collect-*', but no job has that key"),
        (
            ['name = "a"\ninput = { x = "{{ needs.b.run_id }}" }'],
            'is used, but the job has no needs: set needs = ["KEY"]',
        ),
        (
            ['name = "a"', 'name = "{{ needs.a.run_id }}"\nneeds = ["a"]'],
            "in the values of an input table",
        ),
    ],
)
def test_impossible_needs_are_errors(command: Command, jobs: list[str], message: str) -> None:
    """Circles, missing jobs and templates in wrong places are errors before any start."""
    command.write("s.toml", spec(*jobs))
    done = command.run("validate", "s.toml")
    assert (done.code, message in done.err) == (2, True), done.err
