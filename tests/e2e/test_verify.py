from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import Command, ServedPlatform, sweep, wait_until


@pytest.fixture
def folder(command: Command) -> Path:
    """A batch of two jobs with all kinds of files."""
    job = "collect = { output = true, log = true }"
    command.write("s.toml", sweep("v", 2, job=job, items=3, log_lines=2, duration_secs=0.01))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    return Path(done.json["folder"])


def test_whole_batch_is_verified_without_a_network(command: Command, folder: Path) -> None:
    """A run without an output record is complete without one."""
    assert not list((folder / "jobs" / "job-1").glob("output.*"))
    offline = Command(folder=command.folder)
    done = offline.run("verify", "v")
    assert (done.code, done.out) == (0, "the files of all 2 jobs match the ledger\n")
    assert offline.run("verify", "v", "--json").json["checked"] == 2


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda job: (job / "items.jsonl").unlink(), "items.jsonl is missing"),
        (lambda job: (job / "items.jsonl").write_text("{}\n"), "and 36 were collected"),
        (
            lambda job: (job / "items.jsonl").write_text('{"index":0}\n' * 3),
            "items.jsonl is not what was collected: its sha256 is ",
        ),
        (lambda job: (job / "run.json").unlink(), "run.json is missing"),
        (lambda job: (job / "log.txt").unlink(), "log.txt is missing"),
    ],
    ids=["gone", "short", "changed", "no run.json", "no log"],
)
def test_damage_is_reported_and_collect_repairs_it(
    command: Command, folder: Path, damage: Callable[[Path], object], problem: str
) -> None:
    """It names the job and the problem; after `collect`, everything is in order."""
    damage(folder / "jobs" / "job-2")
    done = command.run("verify", "v")
    assert done.code == 1
    assert done.out.startswith("job-2: ")
    assert problem in done.out
    assert "orchestrator collect" in done.out
    assert command.run("collect", "v").code == 0
    assert command.run("verify", "v").code == 0


def test_log_of_a_run_is_printed(command: Command, folder: Path) -> None:
    """It comes from disk, or from the platform if it was not collected."""
    on_disk = command.run("logs", "v", "job-1")
    assert "Line 2" in on_disk.out
    (folder / "jobs" / "job-1" / "log.txt").unlink()
    assert command.run("logs", "v", "job-1").out == on_disk.out
    wrong = command.run("logs", "v", "job1")
    assert (wrong.code, "did you mean 'job-1'?" in wrong.err) == (2, True)


def test_log_of_a_live_run_is_followed(command: Command, platform: ServedPlatform) -> None:
    """The command ends when the run does, with all its lines."""
    text = sweep("f", 1, duration_secs=1.5, log_lines=["first", "last"])
    command.write("f.toml", text)
    runner = command.start("run", "f.toml")
    while platform.runs_of(command.folder / "output" / "f" / "latest") == []:
        assert not runner.has_ended
    done = command.run("logs", "f", "job-1")
    runner.communicate()
    assert runner.code == 0
    assert "last" in done.out


def test_log_is_followed_from_the_first_run_to_the_last(
    command: Command, platform: ServedPlatform
) -> None:
    """With -f, `logs` waits for a job that has no run yet, and goes through all its attempts."""
    text = sweep(
        "f",
        2,
        batch="max_runs = 1",
        job="retries = 1",
        duration_secs=0.7,
        outcome="FAILED",
        log_lines=["first", "last"],
    )
    command.write("f.toml", text)
    runner = command.start("run", "f.toml")
    wait_until((command.folder / "output/f/latest").exists, "a batch")
    early = command.run("logs", "f", "job-2")
    done = command.run("logs", "f", "job-2", "-f")
    runner.communicate()
    assert (early.code, "with -f, logs waits for it" in early.err) == (2, True)
    assert done.code == 0, done.err
    assert [done.out.count(word) for word in ("first", "last", "ended: FAILED")] == [2, 2, 2]


def test_log_of_a_local_batch_is_followed_too(tmp_path: Path) -> None:
    """It reads from the emulator of the running command, and starts no second one."""
    command = Command(folder=tmp_path)
    command.write("f.toml", sweep("f", 1, duration_secs=3, log_lines=["first", "last"]))
    runner = command.start("run", "f.toml", "--local")
    folder = tmp_path / "output" / "f" / "latest"
    while "RUNNING" not in command.run("status", str(folder), "--why", "job-1").out:
        assert not runner.has_ended
    done = command.run("logs", "f", "job-1")
    runner.communicate()
    assert (done.code, "last" in done.out) == (0, True), done.err


def test_records_are_counted(command: Command, platform: ServedPlatform) -> None:
    """A missing record is reported and downloaded again; a run without records has no gap."""
    text = sweep("r", 1, duration_secs=2, job='collect = { records = ["page-*"] }')
    command.write("r.toml", text)
    runner = command.start("run", "r.toml")
    latest = command.folder / "output" / "r" / "latest"
    wait_until(lambda: platform.runs_of(latest) != [], "a run")
    (run,) = platform.runs_of(latest)
    for number in range(3):
        path = f"/key-value-stores/{run['defaultKeyValueStoreId']}/records/page-{number}"
        platform.put(path, {"n": number})
    runner.communicate()
    assert (runner.code, command.run("verify", "r").code) == (0, 0)
    (latest / "jobs" / "job-1" / "records" / "page-1").unlink()
    reported = command.run("verify", "r")
    assert (reported.code, "records/ has 2 of 3 records" in reported.out + reported.err) == (
        1,
        True,
    )
    assert command.run("collect", "r", "--json").json["fetched"] == ["job-1"]
    assert command.run("verify", "r").code == 0
    command.write("n.toml", sweep("n", 1, duration_secs=0, job='collect = { records = ["no"] }'))
    assert command.run("run", "n.toml").code == 0
    assert command.run("verify", "n").code == 0


def test_logs_says_why_a_job_has_no_run(command: Command, platform: ServedPlatform) -> None:
    """A job that never starts, and a batch that nobody runs, are not waited for."""
    later = '[[jobs]]\nname = "later"\nactor = "orchestrator/simulated"\nneeds = ["job-1"]\n'
    command.write("s.toml", sweep("kept", 1, outcome="FAILED") + later)
    assert command.run("run", "s.toml").code == 1
    skipped = command.run("logs", "kept", "later", "-f")
    assert (skipped.code, "later has no run: it is SKIPPED" in skipped.err) == (2, True)
    command.write("s.toml", sweep("kept", 2, batch="max_runs = 1", duration_secs=20))
    before = len(platform.runs())
    process = command.start("run", "s.toml")
    wait_until(lambda: len(platform.runs()) > before, "a run")
    process.terminate()
    process.communicate()
    left = command.run("logs", "kept", "job-2", "-f")
    assert (left.code, "no process runs the batch: orchestrator resume" in left.err) == (2, True)
