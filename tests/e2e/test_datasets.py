"""Datasets that runs fill besides their default one: by alias, or shared by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.command import Command, ServedPlatform, sweep

Faulty = Callable[..., tuple[Command, ServedPlatform]]
ALL = 'collect = { datasets = ["*"] }'
TWO = {"errors": 3, "Errors": 2}


def rows_of(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "jobs.jsonl").read_text().splitlines()]


def test_aliased_datasets_are_collected_and_verified(command: Command) -> None:
    """Each has the name of its alias and a proof; a damaged one is downloaded again."""
    command.write("s.toml", sweep("more", 2, job=ALL, duration_secs=0.1, items=5, datasets=TWO))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["proven"]) == (0, 2), done.err
    folder = Path(done.json["folder"]) / "jobs" / "job-1" / "datasets"
    counts = {path.name: len(path.read_bytes().splitlines()) for path in folder.iterdir()}
    assert sorted(counts.values()) == [2, 3]
    assert len({name.lower() for name in counts}) == 2
    found = {each["name"]: each for each in rows_of(done.json["folder"])[0]["datasets"]}
    assert {name: each["items"] for name, each in found.items()} == TWO
    assert found["errors"]["proof"]["stored"] == 3
    assert command.run("verify", "more", "--online").code == 0
    path = next(path for path, count in counts.items() if count == 3)
    (folder / path).write_bytes(b"")
    wrong = command.run("verify", "more")
    assert (wrong.code, f"datasets/{path} has 0 bytes" in wrong.out) == (1, True), wrong.out
    assert command.run("collect", "more", "--json").json["fetched"] == ["job-1"]
    assert command.run("verify", "more").code == 0


def test_items_that_are_added_later_are_collected_online(
    command: Command, platform: ServedPlatform
) -> None:
    """`verify --online` names the datasets and a command; that downloads them, though proven."""
    spec = sweep("more", 2, job=ALL, duration_secs=0.1, items=5, datasets={"errors": 3})
    command.write("s.toml", spec + "[results]\n")
    folder = Path(command.run("run", "s.toml", "--json").json["folder"])
    datasets = platform.get(f"/actor-runs/{rows_of(str(folder))[0]['run_id']}")["storageIds"]
    for dataset in datasets["datasets"].values():
        platform.post(f"/datasets/{dataset}/items", [{"late": 1}])
    found = command.run("verify", "more", "--online")
    assert (found.code, "collect output/more/" in found.out, "--online`" in found.out) == (
        1,
        True,
        True,
    )
    assert "holds 6 items, and 5" in found.out
    assert "holds 4 items of dataset errors, and 3" in found.out
    assert command.run("collect", "more", "--json").json["fetched"] == []
    done = command.run("collect", "more", "--online", "--json")
    assert (done.code, done.json["fetched"], done.json["items"]) == (0, ["job-1"], 11), done.err
    assert len((folder / "results" / "items.jsonl").read_text().splitlines()) == 11
    assert command.run("verify", "more", "--online").code == 0


def test_items_added_to_the_only_wanted_dataset_are_collected_online(
    command: Command, platform: ServedPlatform
) -> None:
    """The default dataset is neither checked nor collected; the job has files that changed."""
    job = 'collect = { items = false, datasets = ["errors"] }'
    command.write("s.toml", sweep("more", 1, job=job, duration_secs=0, items=5, datasets=TWO))
    folder = Path(command.run("run", "s.toml", "--json").json["folder"])
    run = platform.get(f"/actor-runs/{rows_of(str(folder))[0]['run_id']}")
    for dataset in run["storageIds"]["datasets"].values():
        platform.post(f"/datasets/{dataset}/items", [{"late": 1}])
    found = command.run("verify", "more", "--online", "--json")
    problem = "the platform holds 4 items of dataset errors, and 3 were collected"
    assert found.json["wrong"] == [{"key": "job-1", "problems": [problem]}]
    assert command.run("collect", "more", "--online", "--json").json["fetched"] == ["job-1"]
    lines = (folder / "jobs" / "job-1" / "datasets" / "errors.jsonl").read_text().splitlines()
    assert len(lines) == 4
    assert command.run("verify", "more", "--online").code == 0


def test_deleted_dataset_is_named_beside_all_others(
    command: Command, platform: ServedPlatform
) -> None:
    """`verify --online` ends with 1 and checks the other datasets and jobs."""
    command.write("s.toml", sweep("more", 2, job=ALL, duration_secs=0.1, items=5, datasets=TWO))
    folder = command.run("run", "s.toml", "--json").json["folder"]
    gone, more = (
        platform.get(f"/actor-runs/{row['run_id']}")["storageIds"]["datasets"]
        for row in rows_of(folder)
    )
    platform.delete(f"/datasets/{gone['errors']}")
    platform.post(f"/datasets/{more['Errors']}/items", [{"late": 1}])
    found = command.run("verify", "more", "--online", "--json")
    assert found.code == 1, found.err
    assert {one["key"]: one["problems"] for one in found.json["wrong"]} == {
        "job-1": [f"dataset {gone['errors']} does not exist on the platform any more"],
        "job-2": ["the platform holds 3 items of dataset Errors, and 2 were collected"],
    }


def test_aliased_datasets_that_appear_late_are_whole(faulty: Faulty) -> None:
    """They are not collected before the platform has counted them."""
    command, _ = faulty(items_lag_secs=2)
    slow = Command(
        folder=command.folder,
        variables={**command.variables, "ORCHESTRATOR_COUNTS_SETTLE_SECS": "3"},
    )
    job = 'collect = { datasets = "err*" }'
    command.write("s.toml", sweep("late", 1, job=job, duration_secs=0.1, items=8, datasets=TWO))
    done = slow.run("run", "s.toml", "--json")
    (row,) = rows_of(done.json["folder"])
    assert [(each["name"], each["items"]) for each in row["datasets"]] == [("errors", 3)]


def test_run_that_filled_only_another_dataset_is_named(command: Command) -> None:
    """The message is not only "0 items"."""
    job = "expect = { min_items = 1 }"
    text = sweep("other", 1, job=job, duration_secs=0.1, items=0, datasets={"errors": 3})
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    (row,) = rows_of(done.json["folder"])
    assert (done.code, row["status"]) == (1, "REJECTED")
    assert (
        "it made 0 items, and at least 1 were expected; its default dataset holds no items, but "
        "other datasets do: 'errors' 3; collect.datasets = [\"*\"] takes them" in row["error"]
    )


def test_dataset_that_runs_share_is_collected_once(
    command: Command, platform: ServedPlatform
) -> None:
    """It is selected by its exact name, collected after all runs, and not proven."""
    platform.post("/datasets?name=shared-prices", None)
    items = [{"price": number} for number in range(4)]
    platform.post("/datasets/~shared-prices/items", items)
    job = 'collect = { datasets = ["shared-prices"] }'
    command.write("s.toml", sweep("share", 3, job=job, duration_secs=0.1, items=1))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    file = Path(done.json["folder"]) / "datasets" / "shared-prices.jsonl"
    assert [json.loads(line) for line in file.read_text().splitlines()] == items
    rows = rows_of(done.json["folder"])
    assert [row["datasets"][0]["items"] for row in rows] == [4, None, None]
    assert rows[0]["datasets"][0]["unproven"] == "a named dataset, which other runs may fill too"
    assert command.run("verify", "share").code == 0
    file.unlink()
    found = command.run("verify", "share")
    assert (found.code, "datasets/shared-prices.jsonl is missing" in found.out) == (1, True)
    assert command.run("collect", "share").code == 0
    assert command.run("verify", "share").code == 0


def test_no_download_is_advised_of_a_dataset_that_only_the_disk_has(
    command: Command, platform: ServedPlatform
) -> None:
    """The platform deletes old datasets; what was collected is whole."""
    command.write("s.toml", sweep("old", 1, duration_secs=0.1, items=1))
    (row,) = rows_of(command.run("run", "s.toml", "--json").json["folder"])
    platform.delete(f"/datasets/{row['dataset_id']}")
    found = command.run("verify", "old", "--online")
    assert (found.code, "collect" in found.out) == (1, False), found.out
    assert found.out.endswith(
        "the platform no longer has datasets of 1 of 1 jobs; the files of all jobs match the "
        "ledger\n"
    )


def test_shared_dataset_that_does_not_exist_is_a_warning(command: Command) -> None:
    """The jobs succeed anyway, and a warning has the name."""
    job = 'collect = { datasets = ["no-such-thing"] }'
    command.write("s.toml", sweep("none", 1, job=job, duration_secs=0.1, items=1))
    done = command.run("run", "s.toml")
    assert (done.code, "no-such-thing" in done.err) == (0, True), done.err


def test_each_of_several_shared_datasets_is_recorded(
    command: Command, platform: ServedPlatform
) -> None:
    """A job that names two of them has the items of both in its record."""
    for name, count in {"weekly-prices": 4, "weekly-shops": 2}.items():
        platform.post(f"/datasets?name={name}", None)
        platform.post(f"/datasets/~{name}/items", [{"n": n} for n in range(count)])
    job = 'collect = { datasets = ["weekly-prices", "weekly-shops"] }'
    command.write("s.toml", sweep("both", 2, job=job, duration_secs=0.1, items=1))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    found = rows_of(done.json["folder"])[0]["datasets"]
    assert {each["name"]: each["items"] for each in found} == {
        "weekly-prices": 4,
        "weekly-shops": 2,
    }
