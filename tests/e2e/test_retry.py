from __future__ import annotations

import json
import secrets
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from tests.support.command import Command, ServedPlatform, sweep, wait_until

FAILING = (
    '[batch]\nname = "b"\n[[jobs]]\nname = "good"\nactor = "orchestrator/simulated"\n'
    "input = { duration_secs = 0.01, items = 1 }\n"
    '[[jobs]]\nname = "bad-{{ n }}"\nactor = "orchestrator/simulated"\ntags = ["t{{ n }}"]\n'
    'input = { duration_secs = 0.01, items = 2, outcome = "FAILED" }\nmatrix = { n = [1, 2] }\n'
)


def rows(folder: str) -> dict[str, dict]:
    lines = (Path(folder) / "jobs.jsonl").read_text().splitlines()
    return {row["key"]: row for row in map(json.loads, lines)}


def test_retry_repeats_failed_jobs_in_the_same_batch(command: Command) -> None:
    """Each failed job gets one more attempt; jobs that succeeded stay as they are."""
    command.write("spec.toml", FAILING)
    first = command.run("run", "spec.toml", "--json").json
    done = command.run("retry", "b", "--json")
    assert (done.code, done.json["id"], done.json["runs"]) == (1, first["id"], 5)
    attempts = {key: row["attempts"] for key, row in rows(done.json["folder"]).items()}
    assert attempts == {"good": 1, "bad-1": 2, "bad-2": 2}


def test_retry_starts_only_the_selected_jobs(command: Command) -> None:
    """`--select` chooses among the failed jobs, and `--dry-run` only lists them."""
    command.write("spec.toml", FAILING)
    command.run("run", "spec.toml")
    reported = command.run("retry", "b", "--select", "tag:t2", "--dry-run", "--json")
    assert [job["key"] for job in reported.json["jobs"]] == ["bad-2"]
    done = command.run("retry", "b", "--select", "name:*-1,status:failed", "--json")
    attempts = {key: row["attempts"] for key, row in rows(done.json["folder"]).items()}
    assert attempts == {"good": 1, "bad-1": 2, "bad-2": 1}


def test_retry_without_a_job_to_retry_does_not_pass_for_success(command: Command) -> None:
    """A batch that is not whole gives 1 and a reason; one that is whole gives 0."""
    command.write("spec.toml", FAILING)
    command.run("run", "spec.toml")
    done = command.run("retry", "b", "--select", "name:good")
    assert (done.code, "not selected: 2" in done.err) == (1, True), done.err
    unfinished(command)
    done = command.run("retry", "sweep")
    assert (done.code, "orchestrator resume output/sweep/" in done.err) == (1, True), done.err
    assert command.run("resume", "sweep").code == 0
    assert command.run("retry", "sweep").code == 0


def test_retry_of_a_task_that_is_gone_changes_nothing(
    command: Command, platform: ServedPlatform
) -> None:
    """The batch stays ended, with its reasons; the same call works when the task is back."""
    task = {"actId": "orchestrator~simulated", "name": "gone", "input": {"outcome": "FAILED"}}
    platform.post("/actor-tasks", task)
    spec = '[batch]\nname = "b"\n[[jobs]]\nname = "job"\ntask = "local/gone"\n'
    command.write("spec.toml", spec)
    first = command.run("run", "spec.toml", "--json").json
    platform.delete("/actor-tasks/local~gone")
    refused = command.run("retry", "b")
    assert (refused.code, "task local/gone" in refused.err) == (2, True), refused.err
    kept = command.run("status", "b", "--json").json
    assert [kept[name] for name in ("state", "jobs", "failures")] == [
        first[name] for name in ("state", "jobs", "failures")
    ]
    platform.post("/actor-tasks", task)
    done = command.run("retry", "b", "--json")
    assert (done.code, done.json["runs"]) == (1, 2), done.err


def test_selection_without_a_meaning_is_refused(command: Command) -> None:
    """The error for a word that is not a condition shows an example of one."""
    command.write("spec.toml", FAILING)
    command.run("run", "spec.toml")
    done = command.run("retry", "b", "--select", "bad-1")
    assert done.code == 2
    assert "'bad-1' is not a condition" in done.err


def test_selection_that_names_no_job_is_refused(command: Command) -> None:
    """A misspelt name or tag does not look as if nothing had failed, not even in a dry run."""
    command.write("spec.toml", FAILING)
    command.run("run", "spec.toml")
    for words in (["name:none"], ["tag:none", "--dry-run"], ["name:none,status:FAILED", "--json"]):
        done = command.run("retry", "b", "--select", *words)
        assert (done.code, done.out) == (2, ""), done.err
        assert f"is selected by --select '{words[0]}'" in done.err


def unfinished(command: Command) -> None:
    """Leaves a batch of two jobs, of which one still waits."""
    text = sweep(jobs=2, batch="max_runs = 1", duration_secs=0.01, items=1)
    command.write("sweep.toml", text)
    command.run("run", "sweep.toml")
    with opened_ledger(command) as db:
        db.execute("UPDATE jobs SET status = 'WAITING' WHERE seq = 1")
        db.execute("DELETE FROM attempts WHERE job_seq = 1")
        db.execute("UPDATE jobs SET attempts = 0 WHERE seq = 1")
        # The name changes the mark: otherwise the existing run would be found and adopted.
        db.execute("UPDATE batch SET state = 'stopped', mark = ?", [secrets.token_hex(4)])


@contextmanager
def opened_ledger(command: Command) -> Iterator[sqlite3.Connection]:
    """The ledger of the last batch, whose changes are committed at the end."""
    ledger = command.folder / "output" / "sweep" / "latest" / "ledger.sqlite"
    with closing(sqlite3.connect(ledger)) as db, db:
        yield db


def test_changed_spec_causes_a_warning(command: Command) -> None:
    """Added, removed and changed jobs are listed, and the batch continues with its own copy."""
    unfinished(command)
    command.write("sweep.toml", sweep(jobs=3, duration_secs=0.02, items=1))
    done = command.run("run", "sweep.toml", "--resume")
    assert done.code == 0
    assert "added: job-3" in done.err
    assert "changed: job-2" in done.err
    assert "--accept-changes" in done.err


def test_accepted_changes_are_applied(command: Command) -> None:
    """The batch continues with the current spec; settled jobs stay as they are."""
    unfinished(command)
    command.write("sweep.toml", sweep(jobs=3, duration_secs=0.02, items=5))
    done = command.run("resume", "sweep", "--accept-changes", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 3)
    assert [row["items"] for row in rows(done.json["folder"]).values()] == [1, 5, 5]
    again = command.run("resume", "sweep", "--json")
    assert again.code == 0


def test_removed_job_leaves_the_batch(command: Command) -> None:
    """A job that the spec no longer has is not started, and nothing of it is missing."""
    unfinished(command)
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0.01, items=1))
    done = command.run("resume", "sweep", "--accept-changes", "--json")
    assert (done.code, list(rows(done.json["folder"]))) == (0, ["job-1"]), done.err


def test_removed_job_that_has_run_is_skipped(command: Command) -> None:
    """Its run is paid for and stays in the reports, which say why no other one follows."""
    command.write("sweep.toml", sweep(jobs=2, duration_secs=0.01, outcome="FAILED"))
    assert command.run("run", "sweep.toml").code == 1
    with opened_ledger(command) as db:
        db.execute("UPDATE jobs SET status = 'WAITING' WHERE seq = 1")
        db.execute("UPDATE batch SET state = 'stopped'")
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0.01, outcome="FAILED"))
    done = command.run("resume", "sweep", "--accept-changes", "--json")
    row = rows(done.json["folder"])["job-2"]
    assert (row["status"], row["error"]) == ("SKIPPED", "removed from the spec"), done.err
    assert (done.code, done.json["runs"]) == (1, 2)


def test_removed_job_that_returns_is_started(command: Command) -> None:
    """A spec that has a removed job again gives the batch that job again."""
    unfinished(command)
    whole = (command.folder / "sweep.toml").read_text()
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0.01, items=1))
    assert command.run("resume", "sweep", "--accept-changes").code == 0
    command.write("sweep.toml", whole)
    done = command.run("resume", "sweep", "--accept-changes", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 2), done.err


def test_changes_of_a_spec_that_is_gone_are_not_accepted(command: Command) -> None:
    """The call says which file it needs, and starts nothing with the old spec."""
    unfinished(command)
    (command.folder / "sweep.toml").unlink()
    done = command.run("resume", "sweep", "--accept-changes")
    assert (done.code, "sweep.toml is not a file" in done.err) == (2, True), done.err
    assert command.run("resume", "sweep").code == 0


def test_jobs_of_a_pool_that_the_spec_no_longer_has_go_on(
    command: Command, platform: ServedPlatform
) -> None:
    """A live run is continued and a failed job retried: a pool that is gone limits nothing."""
    plain = sweep(jobs=2, duration_secs=0.5, outcome="FAILED")
    pool = "[pools]\nshop = { max_runs = 1 }\n"
    pooled = sweep(jobs=2, job='pools = ["shop"]', duration_secs=0.5, outcome="FAILED")
    command.write("sweep.toml", pooled + pool)
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output" / "sweep" / "latest"
    wait_until(lambda: len(platform.runs_of(latest)) == 1, "a run")
    process.send_signal(signal.SIGINT)
    process.communicate()
    command.write("sweep.toml", plain)
    done = command.run("resume", "sweep", "--accept-changes")
    assert done.code == 1, done.err
    done = command.run("retry", "sweep", "--json")
    assert (done.code, done.json["runs"]) == (1, 4), done.err


def test_key_that_differs_only_by_case_is_refused(command: Command) -> None:
    """The message names both keys, nothing is changed, and the batch can still be resumed."""
    unfinished(command)
    whole = (command.folder / "sweep.toml").read_text()
    command.write("sweep.toml", whole.replace("job-{{", "Job-{{"))
    done = command.run("resume", "sweep", "--accept-changes")
    words = "the key Job-1 differs from job-1 of output/sweep/"
    assert (done.code, words in done.err) == (2, True), done.err
    done = command.run("resume", "sweep")
    assert (done.code, words in done.err) == (0, True), done.err


def test_changed_jobs_that_have_run_are_named(command: Command) -> None:
    """What was corrected in them does not come to this batch, which is not left unsaid."""
    command.write("sweep.toml", sweep(jobs=2, outcome="FAILED"))
    assert command.run("run", "sweep.toml").code == 1
    command.write("sweep.toml", sweep(jobs=2, outcome="SUCCEEDED"))
    done = command.run("resume", "sweep", "--accept-changes")
    assert (done.code, "kept: job-1\n  kept: job-2\n" in done.err) == (1, True), done.err


def test_accepted_table_of_an_ended_batch_is_written(command: Command) -> None:
    """A spec that now wants merged results gets them, though the batch has nothing to run."""
    text = sweep(jobs=2, duration_secs=0.01, items=1)
    command.write("sweep.toml", text)
    assert command.run("run", "sweep.toml").code == 0
    command.write("sweep.toml", text + '[results]\nformat = "jsonl"\n')
    done = command.run("resume", "sweep", "--accept-changes", "--json")
    assert done.code == 0, done.err
    table = Path(done.json["folder"]) / "results" / "items.jsonl"
    assert len(table.read_text().splitlines()) == 2


def test_retry_that_cannot_begin_changes_nothing(command: Command) -> None:
    """Its jobs keep their status and their reason, and the batch its end."""
    command.write("sweep.toml", sweep(jobs=1, batch='schedule = "@daily"', fail_attempts=1))
    failed = command.run("run", "sweep.toml", "--resume", "--json")
    assert failed.code == 1
    before = command.run("status", "sweep", "--json").json
    refused = replace(command, variables={**command.variables, "APIFY_TOKEN": "apify_api_wrong"})
    assert refused.run("retry", "sweep").code == 5
    assert command.run("status", "sweep", "--json").json == before
    assert command.run("report", "sweep").code == 0
    assert "FAILED with exit code 1" in rows(failed.json["folder"])["job-1"]["error"]
    assert command.run("run", "sweep.toml", "--resume").code == 1
    done = command.run("retry", "sweep", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 1), done.err


def _items_of(platform: ServedPlatform, folder: Path) -> list[int]:
    """How many items each run of a batch has at the platform."""
    datasets = [run["defaultDatasetId"] for run in platform.runs_of(folder)]
    return [platform.get(f"/datasets/{one}")["itemCount"] for one in datasets]


def test_abort_ends_live_runs_and_keeps_their_items(
    command: Command, platform: ServedPlatform
) -> None:
    """Live runs become ABORTED and keep their items; waiting jobs can still be resumed."""
    job = "memory_mbytes = 128"
    command.write(
        "sweep.toml",
        sweep(
            jobs=4,
            batch="max_runs = 2",
            job=job,
            duration_secs=60,
            items=1000,
            push_interval_secs=0.1,
        ),
    )
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output" / "sweep" / "latest"
    wait_until(
        lambda: sum(items > 0 for items in _items_of(platform, latest)) == 2, "items of two runs"
    )
    process.send_signal(signal.SIGINT)
    process.communicate()
    done = command.run("abort", "sweep", "--json")
    assert done.code == 0
    assert (done.json["jobs"]["ABORTED"], done.json["jobs"]["NOT-STARTED"]) == (2, 2)
    assert {run["status"] for run in platform.runs_of(latest)} == {"ABORTED"}
    assert rows(done.json["folder"])["job-1"]["items"] > 0


def test_abort_of_a_batch_without_runs_changes_nothing(
    command: Command, platform: ServedPlatform
) -> None:
    """A batch that its own rules stopped stays so, also if the token is refused."""
    rules = 'schedule = "@daily"\nmax_runs = 1\nstop_after_failures = 1'
    command.write("sweep.toml", sweep(jobs=3, batch=rules, duration_secs=0, outcome="FAILED"))
    assert command.run("run", "sweep.toml", "--resume").code == 3
    before = command.run("status", "sweep", "--json").json
    refused = replace(command, variables={**command.variables, "APIFY_TOKEN": "apify_api_wrong"})
    for caller in (refused, command):
        assert caller.run("abort", "sweep").code == 0
        assert command.run("status", "sweep", "--json").json == before
    assert command.run("run", "sweep.toml", "--resume").code == 3
    assert len(platform.runs_of(command.folder / "output" / "sweep" / "latest")) == 1
