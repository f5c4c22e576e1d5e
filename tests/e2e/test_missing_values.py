"""An empty or missing value is an error, and is never taken for a request."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, ServedPlatform, sweep, wait_until


@pytest.mark.parametrize(
    "words",
    [
        ["run", "sweep.toml", "--select", ""],
        ["run", "sweep.toml", "--exclude", " "],
        ["run", "sweep.toml", "--resume", "--select", ""],
        ["run", "sweep.toml", "--output", ""],
        ["run", "sweep.toml", "--config", ""],
        ["run", "sweep.toml", "--local", "--actors", ""],
        ["plan", "sweep.toml", "--select", ""],
        ["retry", "sweep", "--select", ""],
        ["collect", "sweep", "--select", ""],
        ["verify", "sweep", "--select", ""],
        ["report", "sweep", "--select", ""],
        ["resume", ""],
        ["abort", " "],
        ["prune", "", "--keep-last", "0"],
        ["prune", ".", "--keep-last", "0"],
        ["prune", "sweep/..", "--keep-last", "0"],
        ["init", ""],
    ],
    ids=" ".join,
)
def test_empty_value_is_a_mistake(command: Command, platform: ServedPlatform, words: list) -> None:
    """An empty value from an unset variable of a script is exit code 2, and nothing starts."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0, items=1))
    hidden = command.write("output/.platform/kept.new/kept", "")
    before = len(platform.runs())
    done = command.run(*words)
    assert (done.code, done.out) == (2, ""), done.err
    assert len(platform.runs()) == before
    assert hidden.exists()


def test_missing_secret_at_a_resume_fails_no_job(
    command: Command, platform: ServedPlatform
) -> None:
    """Without a variable that inputs need, `resume` is exit code 2 and changes nothing."""
    command.write("sweep.toml", _secret_sweep())
    with_secret = replace(command, variables={**command.variables, "SECRET_WORD": "swordfish"})
    process = with_secret.start("run", "sweep.toml")
    latest = command.folder / "output/sweep/latest"
    wait_until(lambda: latest.exists() and len(platform.runs_of(latest)) == 1, "a run")
    process.send_signal(signal.SIGTERM)
    process.communicate()
    for words in (("resume", "sweep"), ("run", "sweep.toml", "--resume")):
        refused = command.run(*words)
        assert refused.code == 2, refused.err
        assert "SECRET_WORD" in refused.err
    assert len(platform.runs_of(latest)) == 1
    done = with_secret.run("resume", "sweep", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 3), done.err


def test_missing_secret_at_a_retry_keeps_the_failures(command: Command) -> None:
    """Without a variable that inputs need, `retry` is exit code 2, and the jobs stay the same."""
    command.write("sweep.toml", _secret_sweep(outcome="FAILED", duration_secs=0))
    with_secret = replace(command, variables={**command.variables, "SECRET_WORD": "swordfish"})
    assert with_secret.run("run", "sweep.toml").code == 1
    refused = command.run("retry", "sweep")
    assert refused.code == 2
    assert "  SECRET_WORD: job-1, job-2, job-3" in refused.err
    assert command.run("retry", "sweep", "--dry-run").out.count("FAILED") == 3


def test_unknown_variable_causes_one_warning(tmp_path: Path) -> None:
    """An unknown variable with our prefix is a warning; one like a setting is exit code 2."""
    command = Command(folder=tmp_path, variables={"ORCHESTRATOR_COLOUR": "red"})
    done = command.run("list")
    assert (done.code, done.err) == (
        0,
        "warning: the environment variable ORCHESTRATOR_COLOUR is not a setting; it is ignored\n",
    )
    misspelt = Command(folder=tmp_path, variables={"ORCHESTRATOR_MAXRUNS": "3"}).run("list")
    assert misspelt.code == 2
    assert "did you mean ORCHESTRATOR_MAX_RUNS?" in misspelt.err


def test_damaged_saved_token_starts_nothing(tmp_path: Path) -> None:
    """A damaged auth.json is exit code 2, with its name and what to do."""
    command = Command(folder=tmp_path)
    command.write("sweep.toml", sweep(jobs=1))
    command.write("home/.apify/auth.json", "{")
    done = command.run("run", "sweep.toml")
    assert done.code == 2
    assert "auth.json: is not valid JSON: log in again" in done.err
    assert not (tmp_path / "output").exists()


def _secret_sweep(**given: Any) -> str:
    item = {"secret": "{{ env.SECRET_WORD }}"}
    given = {"duration_secs": 1, "items": 1, "item": item, **given}
    return sweep(jobs=3, batch="max_runs = 1", **given)
