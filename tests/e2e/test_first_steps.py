from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import Command, ServedPlatform, sweep


@pytest.mark.parametrize(
    ("spec", "words"),
    [("batch.toml", []), ("batch.yaml", ["--yaml"])],
    ids=["toml", "yaml"],
)
def test_init_writes_a_spec_that_runs_offline(tmp_path: Path, spec: str, words: list[str]) -> None:
    """It writes a commented spec, its schema and a config, and overwrites nothing."""
    command = Command(folder=tmp_path)
    done = command.run("init", "mine", *words)
    assert (done.code, f"orchestrator plan {spec}" in done.err) == (0, True)
    assert {Path(line).name for line in done.out.splitlines()} == {
        spec, "config.toml", "orchestrator.schema.json",
    }  # fmt: skip
    home = Command(folder=tmp_path / "mine")
    assert home.run("validate", spec).out == f"{spec}: valid, 6 jobs\n"
    ran = home.run("run", spec, "--local", "--json")
    assert (ran.code, ran.json["items"]) == (0, 18), ran.err
    again = command.run("init", "mine", *words)
    assert (again.code, "nothing was written" in again.err) == (2, True)


GIVEN = {
    "duration_secs": 0.01,
    "items": 2,
    "item": {"text": 'a "quoted" {{ name }} \\ line\nbreak', "deep": [{"x": True}, 1.5, []]},
    "steers\u202e": "\x1b[2J\x7f\u009b2J\u202e\u2028\U0001f600",
}


@pytest.mark.parametrize("more", [{}, {"nothing": None}], ids=["toml", "json, since it has a null"])
def test_import_writes_a_spec_for_the_same_run(
    command: Command, platform: ServedPlatform, more: dict[str, None]
) -> None:
    """The spec has the whole input of the run, whatever it is."""
    given = {**GIVEN, "item": {**GIVEN["item"], **more}}  # type: ignore[dict-item]
    platform.post("/acts/orchestrator~simulated/runs?memory=512&timeout=77", given)
    run_id = max(platform.runs(), key=lambda run: run["startedAt"])["id"]
    done = command.run("import", run_id)
    assert done.code == 0, done.err
    # A terminal shows it.
    assert all(line.isprintable() for line in done.out.split("\n"))
    name = "s.json" if more else "s.toml"
    command.write(name, done.out)
    ran = command.run("run", name, "--json")
    assert ran.code == 0, ran.err
    (new,) = platform.runs_of(Path(ran.json["folder"]))
    reported = platform.get(f"/actor-runs/{new['id']}")
    assert (reported["options"]["memoryMbytes"], reported["options"]["timeoutSecs"]) == (512, 77)
    store = reported["defaultKeyValueStoreId"]
    assert platform.get(f"/key-value-stores/{store}/records/INPUT") == given
    # The empty one is what an unset variable of a shell gives.
    assert [command.run("import", run).code for run in ("nosuchrun", "", "..")] == [2, 2, 2]


def test_validate_online_asks_the_platform(command: Command, platform: ServedPlatform) -> None:
    """Missing Actors and builds, and inputs that do not fit, are errors before money is spent."""
    before = len(platform.runs())
    command.write("good.toml", sweep(jobs=3, duration_secs=0.01))
    done = command.run("validate", "good.toml", "--online", "--json")
    assert (done.code, done.json["specs"][0]["inputs_checked"]) == (0, 1), done.err
    text = sweep(jobs=1, job='build = "nightly"', duration_secs="long") + (
        '[[jobs]]\nname = "other"\nactor = "no/such"\n'
    )
    command.write("bad.toml", text)
    done = command.run("validate", "bad.toml", "--online")
    assert done.code == 2
    assert "other: actor no/such: " in done.err
    assert "job-1: actor orchestrator/simulated has no build 'nightly'; its tags are" in done.err
    command.write("input.toml", sweep(jobs=1, duration_secs="long"))
    done = command.run("validate", "input.toml", "--online", "--json")
    (spec,) = json.loads(done.out)["specs"]
    assert (done.code, spec["valid"]) == (2, False)
    assert "duration_secs" in spec["online_mistakes"][0]
    assert len(platform.runs()) == before
