"""Completion of commands and options in the shells of this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command import LONGEST_SECS, Command

CHECKS = {
    # The options of a command, as bash asks the completion for them.
    "bash": "source c.sh; COMP_WORDS=(orchestrator run --max); COMP_CWORD=2; "
    "COMP_LINE='orchestrator run --max'; _shtab_orchestrator; echo ${COMPREPLY[@]}",
    "zsh": "autoload -Uz compinit; compinit -u -d dump; source ./c.sh; echo --max-runs",
    "fish": "source c.sh; complete -C 'orchestrator run --max'",
}


@pytest.mark.parametrize("shell", CHECKS)
def test_completion_script_completes_an_option(tmp_path: Path, shell: str) -> None:
    """Each shell reads its script, and completes `--max` to `--max-runs`."""
    done = Command(folder=tmp_path).run("completion", shell)
    assert (done.code, "--max-runs" in done.out.replace("max-runs", "--max-runs")) == (0, True)
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "c.sh").write_text(done.out)
    ran = subprocess.run(
        [program, "-c", CHECKS[shell]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECS,
    )
    assert "--max-runs" in ran.stdout, ran.stderr


def test_completion_names_the_batches(tmp_path: Path) -> None:
    """A batch is completed from the names in the output folder."""
    assert "ls output" in Command(folder=tmp_path).run("completion", "bash").out
