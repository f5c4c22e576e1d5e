"""What a person reads about failed jobs."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.command import Command, ServedPlatform, sweep, wait_until

TRACEBACK = (
    "Traceback (most recent call last):",
    '  File "main.py", line 3, in main',
    "ValueError: no price on page 7",
)


def failing(command: Command, jobs: int) -> None:
    """Writes a spec of jobs that all fail at the same place."""
    command.write(
        "s.toml",
        sweep(
            jobs=jobs,
            duration_secs=0.01,
            outcome="FAILED",
            status_message="page {{ n }} has no price",
            log_lines=TRACEBACK,
        ),
    )


def test_run_prints_one_block_for_one_cause(command: Command) -> None:
    """Forty jobs that fail in the same way are a few lines, and nothing is printed twice."""
    failing(command, 40)
    done = command.run("run", "s.toml", "--max-runs", "40")
    folder = next((command.folder / "output/sweep").glob("2*"))
    assert done.code == 1
    assert done.err == (
        "40 jobs FAILED: actor orchestrator/simulated, exit code 1\n"
        "    page 1 has no price\n"
        "    ValueError: no price on page 7\n"
        "    example: job-1\n"
        f"run failed jobs again: orchestrator retry output/sweep/{folder.name}\n"
    )


def test_status_prints_failures_with_the_rest(command: Command) -> None:
    """`status` shows the same block on stdout; `--json` has its facts."""
    failing(command, 3)
    ran = command.run("run", "s.toml", "--json")
    shown = command.run("status", "sweep")
    assert shown.err == ""
    assert shown.out.endswith(ran.err.replace(ran.json["folder"], "output/sweep"))
    assert "3 jobs FAILED: " in shown.out
    (group,) = command.run("status", "sweep", "--json").json["failures"]
    assert group == ran.json["failures"][0]
    assert (group["jobs"], group["traceback_end"]) == (3, "ValueError: no price on page 7")


def test_retry_reads_the_log_of_the_new_attempt(command: Command) -> None:
    """The log that a failure shows is always that of its last run."""
    failing(command, 1)
    command.run("run", "s.toml")
    again = command.run("retry", "sweep", "--json")
    (group,) = again.json["failures"]
    job = json.loads((Path(again.json["folder"]) / "jobs.jsonl").read_text())
    assert (group["attempts"], group["run_id"]) == (2, job["run_id"])
    assert group["log_end"][-1] == "ACTOR: Simulated run ended: FAILED."


def test_unreadable_log_does_not_hide_the_failure(tmp_path: Path, platform: ServedPlatform) -> None:
    """A job whose start was refused has no log; its message is all that there is."""
    command = Command(folder=tmp_path, variables=platform.variables())
    command.write("s.toml", sweep(jobs=2, job='build = "no-such-build"'))
    done = command.run("run", "s.toml", "--resume", "--json")
    (group,) = done.json["failures"]
    assert (group["jobs"], group["run_id"], group["log_end"]) == (2, None, [])
    assert "no-such-build" in group["message"]


def test_status_of_running_batch_shows_the_log_of_a_failure(command: Command) -> None:
    """Whoever looks while other jobs run reads why the first ones failed."""
    log = json.dumps(TRACEBACK)
    command.write(
        "s.toml",
        '[batch]\nname = "live"\n[defaults]\nactor = "orchestrator/simulated"\n'
        f'[[jobs]]\nname = "bad"\ninput = {{ outcome = "FAILED", log_lines = {log} }}\n'
        '[[jobs]]\nname = "long"\ninput = { duration_secs = 600 }\n',
    )
    process = command.start("run", "s.toml")
    wait_until(lambda: "ValueError: no price on page 7" in command.run("status").out, "a log")
    shown = command.run("status", "--json").json
    assert (shown["is_held"], shown["failures"][0]["example"]) == (True, "bad")
    process.terminate()
    process.communicate()
