"""Any single system call may fail: there is a message and a code, and the batch can be resumed."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest

from tests.support.command import Command, ServedPlatform, sweep

PROGRAM = "tests.support.failing_calls:main_with_a_failure"
ERRORS = (
    "EACCES", "EIO", "ELOOP", "EMFILE", "ENAMETOOLONG", "ENOENT", "ENOSPC", "ENOTDIR", "EPERM",
    "EROFS",
)  # fmt: skip
LAST_CALL = 170
CASES = 300 if os.environ.get("ORCHESTRATOR_SOAK") else 6


@pytest.mark.parametrize("seed", range(CASES))
def test_failed_call_is_not_a_bug_and_loses_nothing(
    command: Command, platform: ServedPlatform, seed: int
) -> None:
    """Whichever call of `run` fails, the code is not 70, and the next call ends the batch."""
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    number, error = chance.randint(1, LAST_CALL), chance.choice(ERRORS)
    command.write("sweep.toml", sweep(jobs=2, duration_secs=0, items=1, job="collect.log = true"))
    broken = replace(command, program=PROGRAM).run(str(number), error, "run", "sweep.toml")
    assert broken.code in {0, 1, 2, 3}, broken.err
    folders = list(command.folder.glob("output/sweep/2*"))
    if folders:
        done = command.run("resume", str(folders[0]), "--json")
        assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 2), broken.err + done.err
        assert len(platform.runs_of(folders[0])) == 2


@pytest.mark.parametrize("seed", range(CASES // 3))
@pytest.mark.parametrize(
    "words",
    [
        ["status", "sweep"], ["list"], ["report", "sweep"], ["verify", "sweep"],
        ["collect", "sweep"], ["resume", "sweep"], ["retry", "sweep"], ["abort", "sweep"],
        ["logs", "sweep", "job-1"], ["plan", "sweep.toml"], ["prune", "sweep", "--keep-last", "0"],
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_failed_call_of_a_command_has_a_code(command: Command, words: list[str], seed: int) -> None:
    """Whichever call of a command on a batch fails, the code is not 70."""
    chance = random.Random(f"{words[0]} {seed}")  # noqa: S311 - to be repeatable
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0, items=1))
    assert command.run("run", "sweep.toml").code == 0
    number, error = chance.randint(1, LAST_CALL // 2), chance.choice(ERRORS)
    done = replace(command, program=PROGRAM).run(str(number), error, *words)
    assert done.code in {0, 1, 2, 3}, done.err
