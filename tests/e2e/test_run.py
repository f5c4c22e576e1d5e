from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.emulator.sample_actors import write_actor
from tests.support.command import Command, ServedPlatform, sweep

ONE_LOCAL_JOB = """\
[batch]
name = "one"
schedule = "@daily"
[[jobs]]
name = "hello"
actor = "local/hello"
input = {}
"""


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_run_writes_every_file_of_the_contract(command: Command) -> None:
    """A sweep ends with 0, and its folder has results, reports, log and ledger."""
    command.write(
        "sweep.toml",
        sweep(
            duration_secs=0.05,
            items=4,
            output={"a": 1},
            job="collect = { output = true, log = true }",
        ),
    )
    done = command.run("run", "sweep.toml")
    assert (done.code, done.err) == (0, "")
    latest = command.folder / "output" / "sweep" / "latest"
    assert {path.name for path in latest.iterdir() if not path.name.startswith(".")} >= {
        "spec.toml", "ledger.sqlite", "summary.json", "jobs.jsonl", "log.jsonl", "jobs",
    }  # fmt: skip
    job = latest / "jobs" / "job-2"
    assert {path.name for path in job.iterdir()} == {
        "items.jsonl", "run.json", "input.json", "output.json", "log.txt",
    }  # fmt: skip
    assert len(lines(job / "items.jsonl")) == 4
    assert json.loads((job / "output.json").read_text()) == {"a": 1}
    assert json.loads((job / "run.json").read_text())["status"] == "SUCCEEDED"


def test_run_prints_its_figures(command: Command) -> None:
    """The summary and the lines of the jobs agree with the files on disk."""
    command.write("sweep.toml", sweep(jobs=3, duration_secs=0.05, items=4))
    done = command.run("run", "sweep.toml", "--json")
    folder = Path(done.json["folder"])
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["jobs"]["SUCCEEDED"] == 3
    assert (summary["items"], summary["exit_code"], summary["runs"]) == (12, 0, 3)
    rows = lines(folder / "jobs.jsonl")
    assert [row["key"] for row in rows] == ["job-1", "job-2", "job-3"]
    assert rows[0]["params"] == {"n": 1}
    size = (folder / "jobs" / "job-1" / "items.jsonl").stat().st_size
    assert (rows[0]["status"], rows[0]["attempts"], rows[0]["bytes"]) == ("SUCCEEDED", 1, size)


def test_run_needs_three_requests_for_a_job(command: Command) -> None:
    """A job needs a start, a poll and a download; the rest is read once."""
    command.write("sweep.toml", sweep(jobs=20, duration_secs=0.05, items=2))
    summary = command.run("run", "sweep.toml", "--json").json
    assert summary["requests"] == 60


def test_run_never_exceeds_max_runs(command: Command, platform: ServedPlatform) -> None:
    """At no time are more runs live than the spec allows."""
    command.write("sweep.toml", sweep(jobs=12, batch="max_runs = 3", duration_secs=0.1, items=1))
    folder = Path(command.run("run", "sweep.toml", "--json").json["folder"])
    spans = [
        (datetime.fromisoformat(row["started_at"]), datetime.fromisoformat(row["finished_at"]))
        for row in lines(folder / "jobs.jsonl")
    ]
    assert len(spans) == 12
    for start, _ in spans:
        assert sum(begin <= start < end for begin, end in spans) <= 3


def test_run_exits_with_1_if_a_job_failed(command: Command) -> None:
    """A failed job is reported with its run and its reason, and the others are collected."""
    spec = sweep(jobs=1, duration_secs=0.01, items=1) + (
        '[[jobs]]\nname = "bad"\nactor = "orchestrator/simulated"\nretries = 1\n'
        'input = { duration_secs = 0.01, outcome = "FAILED", status_message = "no such shop" }\n'
    )
    command.write("sweep.toml", spec)
    done = command.run("run", "sweep.toml", "--json")
    assert done.code == 1
    rows = lines(Path(done.json["folder"]) / "jobs.jsonl")
    assert [(row["key"], row["status"], row["attempts"]) for row in rows] == [
        ("job-1", "SUCCEEDED", 1),
        ("bad", "FAILED", 2),
    ]
    assert "no such shop" in rows[1]["error"]
    assert "    no such shop\n" in done.err
    assert "    job: bad (2 attempts)\n" in done.err


def test_run_never_shows_the_token(command: Command, platform: ServedPlatform) -> None:
    """The token is in no file, log or output, not even of a failing batch."""
    command.write("sweep.toml", sweep(duration_secs=0.01, items=1, outcome="FAILED"))
    done = command.run("run", "sweep.toml", "--log-level", "debug", "--log-format", "json")
    reported = [done.out, done.err]
    files = [path.read_bytes() for path in command.folder.rglob("*") if path.is_file()]
    assert not any(platform.token in text for text in reported)
    assert not any(platform.token.encode() in content for content in files)


def test_run_names_batch_job_attempt_and_run_in_its_log(command: Command) -> None:
    """Each event of an attempt names its attempt and run; the second attempt has another run."""
    spec = sweep(jobs=2, job="retries = 1", duration_secs=0.01, items=1, outcome="FAILED")
    command.write("sweep.toml", spec)
    done = command.run("run", "sweep.toml", "--log-level", "debug", "--json")
    log = Path(done.json["folder"]) / "log.jsonl"
    events = [json.loads(line) for line in log.read_text().splitlines()]
    about = {"run_started", "run_finished", "attempt_failed", "job_settled"}
    ours = [event for event in events if event["event"] in about]
    assert {event["batch_id"] for event in events} == {done.json["id"]}
    assert {(event["job"], event["attempt"]) for event in ours} == {
        (job, attempt) for job in ("job-1", "job-2") for attempt in (1, 2)
    }
    assert len({event["run"] for event in ours}) == 4
    assert len({(event["run"], event["job"], event["attempt"]) for event in ours}) == 4


def test_run_passes_parameters_from_the_command_line(command: Command) -> None:
    """`--param` sets a parameter with the type that it has in the spec."""
    command.write(
        "spec.toml",
        '[batch]\nname = "p"\n[params]\nitems = 1\n[[jobs]]\nname = "j"\n'
        'actor = "orchestrator/simulated"\n'
        'input = { duration_secs = 0.01, items = "{{ items }}" }\n',
    )
    done = command.run("run", "spec.toml", "--param", "items=7", "--json")
    assert done.json["items"] == 7


def test_run_renders_secrets_only_for_the_platform(
    tmp_path: Path, platform: ServedPlatform
) -> None:
    """A secret from the environment reaches the platform, and no file of the batch."""
    command = Command(
        folder=tmp_path, variables={**platform.variables(), "SHOP_KEY": "hush-hush-1234"}
    )
    command.write(
        "sweep.toml", sweep(jobs=1, duration_secs=0.01, items=1, key="{{ env.SHOP_KEY }}")
    )
    done = command.run("run", "sweep.toml", "--json")
    assert done.code == 0
    files = [path.read_bytes() for path in (tmp_path / "output").rglob("*") if path.is_file()]
    assert not any(b"hush-hush-1234" in content for content in files)
    run_json = json.loads((Path(done.json["folder"]) / "jobs/job-1/run.json").read_text())
    store = run_json["defaultKeyValueStoreId"]
    record = platform.get(f"/key-value-stores/{store}/records/INPUT")
    assert record["key"] == "hush-hush-1234"


def test_local_run_needs_no_actors(command: Command) -> None:
    """`--local` works in any folder: simulated Actors always exist."""
    command.write("sweep.toml", sweep(jobs=2, duration_secs=0.01, items=1))
    done = command.run("run", "sweep.toml", "--local", "--json")
    assert (done.code, done.json["items"]) == (0, 2)


def test_local_run_says_which_environment_it_builds(command: Command) -> None:
    """The first run of an Actor can take minutes, so a message says why; the second is fast."""
    write_actor(command.folder / "actors", "hello", "")
    command.write("one.toml", ONE_LOCAL_JOB)
    words = ("run", "one.toml", "--local", "--actors", "actors")
    first, second = (command.run(*words) for _ in range(2))
    assert (first.code, second.code) == (0, 0)
    assert "local/hello: building its environment once (no requirements.txt)" in first.err
    assert "local/hello: built in " in first.err
    assert "environment" not in second.err


def test_folder_of_actors_without_local_is_refused(
    command: Command, platform: ServedPlatform
) -> None:
    """Somebody who forgets `--local` would start runs that cost money."""
    write_actor(command.folder / "actors", "hello", "")
    command.write("s.toml", sweep("s", jobs=1))
    before = len(platform.runs())
    done = command.run("run", "s.toml", "--actors", "actors")
    assert done.code == 2
    assert "is for the local platform: add --local" in done.err
    assert len(platform.runs()) == before


@pytest.mark.parametrize(
    ("zone", "midnight"), [("Asia/Tokyo", "T15:00:00.000Z"), ("Asia/Dubai", "T20:00:00.000Z")]
)
def test_schedule_without_a_time_zone_has_that_of_the_machine(
    command: Command, zone: str, midnight: str
) -> None:
    """The day of a batch begins at midnight where the command is called."""
    there = replace(command, variables={**command.variables, "TZ": zone})
    there.write("s.toml", sweep("s", jobs=1, batch='schedule = "@daily"', duration_secs=0))
    assert there.run("run", "s.toml").code == 0
    (batch,) = there.run("list", "--json").json["batches"]
    assert batch["occurrence"].endswith(midnight)
