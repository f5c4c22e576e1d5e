"""The output streams never decide how a command ends."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import Command, Done, ServedPlatform, sweep, wait_until
from tests.support.tracebacks import take_tracebacks

LOST = "tests.support.lost_output:main_with_lost_output"


@pytest.mark.parametrize("where", [">&-", "2>&-", "<&- >&- 2>&-"], ids=["stdout", "stderr", "all"])
def test_closed_output_does_not_change_how_a_run_ends(command: Command, where: str) -> None:
    """With closed streams, every job runs, and the code is 0."""
    command.write("sweep.toml", sweep(jobs=2, duration_secs=0, items=1))
    done = command.run_script(f"orchestrator run sweep.toml {where}")
    check_run(command, done)


@pytest.mark.parametrize("where", ["full stdout", "full stderr", "no reader"])
def test_lost_output_does_not_change_how_a_run_ends(command: Command, where: str) -> None:
    """With full or unread streams, every job runs, and the code is 0."""
    command.write("sweep.toml", sweep(jobs=2, duration_secs=0, items=1))
    done = replace(command, program=LOST).run(where, "run", "sweep.toml")
    check_run(command, done)


LOG = "logs sweep job-1"


PRUNE = "prune sweep --keep-days 0 --dry-run"


@pytest.mark.parametrize(
    "words", ["export sweep --format csv --to -", "list --json", "schema", LOG, f"{LOG} -f", PRUNE]
)
def test_answer_that_is_lost_is_no_success(command: Command, words: str) -> None:
    """A table that a full disk cuts is reported; a reader that leaves is not an error."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0, items=1))
    assert command.run("run", "sweep.toml").code == 0
    lost = replace(command, program=LOST)
    done = lost.run("full stdout", *words.split())
    assert done.code == 2
    assert "standard output: cannot be written (No space left on device)" in done.err
    assert "Traceback" not in done.err
    assert lost.run("no reader", *words.split()).code == 0


def check_run(command: Command, done: Done) -> None:
    """The run of two jobs has ended well."""
    assert done.code == 0, done.err
    summary = json.loads((command.folder / "output/sweep/latest/summary.json").read_text())
    assert summary["jobs"]["SUCCEEDED"] == 2


@pytest.mark.parametrize("words", [("run", "bad.toml"), ("nonsense",)], ids=["spec", "command"])
def test_error_that_cannot_be_written_keeps_its_code(
    command: Command, words: tuple[str, ...]
) -> None:
    """A mistake in a spec is exit code 2, even if the message cannot be written."""
    command.write("bad.toml", "[batch]\n")
    assert replace(command, program=LOST).run("full stderr", *words).code == 2
    for where in ("2>&-", ">&- 2>&-"):
        assert command.run_script(f"orchestrator {' '.join(words)} {where}").code == 2


def test_output_of_any_encoding_is_written(command: Command) -> None:
    """Letters that the encoding of the output does not have are written as escapes."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0, items=1))
    ascii_only = replace(command, variables={**command.variables, "PYTHONIOENCODING": "ascii"})
    done = ascii_only.run("run", "sweep.toml", "--output", "größe")
    assert (done.code, "results: gr\\xf6\\xdfe/sweep/" in done.out) == (0, True), done.err


@pytest.mark.parametrize(
    "words", ["--output $'\\xff'", "--param $'a=\\xff'", "--select $'name:\\xff'"]
)
def test_argument_that_is_not_text_is_refused(command: Command, words: str) -> None:
    """No ledger can store such bytes: exit code 2, and they are shown as escapes."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0, items=1))
    done = command.run_script(f"orchestrator run sweep.toml {words}")
    assert done.code == 2, done.err
    assert "\\udcff' is not text in the encoding utf-8: rename" in done.err


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("mkdir $'w\\xff'; cp sweep.toml w*; cd w*", "is not UTF-8 text: rename it"),
        ("mkdir gone; cd gone; rmdir ../gone", "the working folder was deleted"),
    ],
    ids=["bytes", "deleted"],
)
def test_working_folder_that_cannot_be_named_is_refused(
    command: Command, script: str, said: str
) -> None:
    """A deleted working folder, or one without a name in text, is exit code 2."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0, items=1))
    done = command.run_script(f"{script}; orchestrator run sweep.toml --json")
    assert done.code == 2, done.err
    assert said in done.err


@pytest.mark.parametrize("follower", ["logs sweep job-1", "watch sweep --json"])
def test_follower_ends_with_its_reader(
    command: Command, platform: ServedPlatform, follower: str
) -> None:
    """`logs | head` follows nothing after its reader has ended, also if no further line comes."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=3600, items=1, log="a line\n" * 9))
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output/sweep/latest"
    wait_until(lambda: latest.exists() and bool(platform.runs_of(latest)), "the run")
    try:
        script = "until orchestrator {} 2>/dev/null | head -c 1 | grep -q .; do sleep 0.1; done"
        assert command.run_script(script.format(follower)).code == 0
    finally:
        process.kill()


def test_batch_does_not_wait_for_its_reader(command: Command) -> None:
    """A full and unread pipe on stderr does not delay a run."""
    command.write("sweep.toml", sweep(jobs=60, duration_secs=0, items=1))
    words = ("run", "sweep.toml", "--log-format", "json")
    done = replace(command, program=LOST).run("unread stderr", *words)
    assert done.code == 0


def test_bug_has_its_traceback_in_a_file(tmp_path: Path) -> None:
    """A bug is exit code 70 and one sentence, which names the file with the traceback."""
    done = Command(folder=tmp_path, program="tests.support.planted_bug:main_with_a_bug").run("list")
    assert done.code == 70
    assert "this is a bug of ours: ZeroDivisionError: a bug" in done.err
    assert "Traceback" not in done.err
    (text,) = take_tracebacks()
    assert "ZeroDivisionError: a bug" in text


def test_messages_are_in_the_file_at_once(tmp_path: Path) -> None:
    """A log file of stderr has each line while the command is still running."""
    file = tmp_path / "err"
    script = "import sys, time; from orchestrator.cli.streams import open_streams; open_streams(); "
    script += "sys.stderr.write('said\\n'); sys.stdin.read()"
    with file.open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stderr=err
        )
        wait_until(lambda: file.read_text() == "said\n", "the line")
        process.communicate()
