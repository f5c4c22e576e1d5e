"""Few open files: the limit is raised or limits the runs, and the message says what to do."""

from __future__ import annotations

import resource
from dataclasses import replace

import pytest

from tests.emulator.sample_actors import write_actor
from tests.support.command import Command, Done, ServedPlatform, sweep, wait_until

ACTOR = """
import resource
print("soft limit:", resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)
"""


def run_with_limits(command: Command, soft: int, hard: int, *words: str) -> Done:
    """Runs a command as a shell does that has limited the open files."""
    limited = replace(command, program="tests.support.few_files:main_with_limits")
    return limited.run(str(soft), str(hard), *words)


def test_soft_limit_of_open_files_is_raised(command: Command, platform: ServedPlatform) -> None:
    """A low default of the shell limits nothing if the system allows more."""
    command.write("sweep.toml", sweep(jobs=60, batch="max_runs = 60", duration_secs=0.5, items=1))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = run_with_limits(command, 40, hard, "run", "sweep.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 60), done.err
    assert "ulimit" not in done.err


def test_open_files_limit_the_live_runs(command: Command) -> None:
    """If the limit cannot be raised, fewer runs are live, and a warning says what to do."""
    command.write("sweep.toml", sweep(jobs=40, batch="max_runs = 40", duration_secs=0, items=1))
    done = run_with_limits(command, 64, 64, "run", "sweep.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 40), done.err
    said = "reason=this process may have 64 open files; raise the limit with `ulimit -n`"
    assert said in done.err
    assert "Too many open files" not in done.err


@pytest.mark.parametrize("files", [6, 10, 13, 16, 20, 30])
def test_too_few_open_files_for_one_run_are_refused(
    command: Command, platform: ServedPlatform, files: int
) -> None:
    """With almost no descriptors, nothing is started, and the message says what to do."""
    command.write("sweep.toml", sweep(jobs=2, duration_secs=0))
    before = len(platform.runs())
    done = command.run_script(f"ulimit -n {files}; orchestrator run sweep.toml")
    assert done.code in {2, 3}, done.err
    assert "`ulimit -n`" in done.err
    assert len(platform.runs()) == before


def test_runs_of_an_earlier_process_are_followed_in_turns(
    command: Command, platform: ServedPlatform
) -> None:
    """A batch with more live runs than open files is resumed to its end."""
    command.write("sweep.toml", sweep(jobs=50, batch="max_runs = 50", duration_secs=4, items=1))
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output/sweep/latest"
    wait_until(lambda: latest.exists() and len(platform.runs_of(latest)) == 50, "all runs")
    process.kill()
    process.communicate()
    done = run_with_limits(command, 64, 64, "resume", "sweep", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 50), done.err
    assert "too many open files" not in done.err
    assert len(platform.runs_of(latest)) == 50


def test_process_of_an_actor_gets_the_original_limit(command: Command) -> None:
    """A program that an Actor runs has the limit of the user's shell, not our raised one."""
    write_actor(command.folder / "actors", "limit", ACTOR)
    command.write(
        "limit.toml",
        '[batch]\nname = "limit"\n[[jobs]]\nname = "job"\nactor = "local/limit"\n'
        "collect.log = true\n",
    )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = run_with_limits(command, 256, hard, "run", "limit.toml", "--local")
    assert done.code == 0, done.err
    log = (command.folder / "output/limit/latest/jobs/job/log.txt").read_text()
    assert "soft limit: 256\n" in log
