"""Secrets and foreign text, seen from outside: in no file, on no stream."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import Command

SECRET = "open-sesame-42"
HOSTILE = "a\\u001b[2J\\u202eb\\u009bc\\nd"
SPEC = f"""
[batch]
name = "nightly"

[[jobs]]
name = "fails"
actor = "orchestrator/simulated"
input = {{ outcome = "FAILED", status_message = "{HOSTILE} {{{{ env.KEY }}}}" }}
collect = {{ records = ["*"] }}

[[jobs]]
name = "tells"
actor = "orchestrator/simulated"
input = {{ duration_secs = 0.01, items = 2, item = {{ a = "{{{{ env.KEY }}}}" }} }}
collect = {{ records = ["INPUT"] }}
"""
LOGGED = r"""
[batch]
name = "logged"

[[jobs]]
name = "one"
actor = "orchestrator/simulated"

[jobs.input]
items = 1
item = { text = "a\u009b2Jb\u0007c\u202ed" }
log_lines = ["a\u009b2Jb\u0007c\u202ed"]
"""

SHORT = """
[batch]
name = "short"

[[jobs]]
name = "one"
actor = "orchestrator/simulated"
input = { a = "{{ env.LONG }}", b = "{{ env.SHORT }}", c = "{{ env['EMPTY'] | upper }}" }
"""

PRINTED = """
[batch]
name = "printed"

[[jobs]]
name = "one"
actor = "orchestrator/simulated"

[jobs.input]
duration_secs = 0.01
outcome = "FAILED"
status_message = "no"
log_lines = ["Traceback (most recent call last):", "ValueError: the key {{ env.KEY }} is not valid"]
"""


def holders(folder: Path) -> list[str]:
    """The files below a folder that contain the secret, without the platform's own."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".platform" not in path.parts and SECRET.encode() in path.read_bytes()
    )


@pytest.fixture
def done(command: Command) -> tuple[Command, Path, str]:
    """A batch that has ended, its folder, and its stderr."""
    command = replace(command, variables={**command.variables, "KEY": SECRET})
    command.write("s.toml", SPEC)
    done = command.run("run", "s.toml", "--json")
    assert done.code == 1, done.err
    assert SECRET not in done.out
    return command, Path(done.json["folder"]), done.err


def test_secret_is_only_in_the_results_of_the_actor(done: tuple[Command, Path, str]) -> None:
    """The run's message and input have it, but no ledger, report or log."""
    command, folder, err = done
    assert SECRET not in err
    assert holders(command.folder) == [
        str((folder / "jobs/tells/items.jsonl").relative_to(command.folder))
    ]
    assert "secret in results job=tells file=items.jsonl" in err
    assert not (folder / "jobs/fails/records").exists()
    assert "{{ env.KEY }}" in (folder / "jobs/tells/records/INPUT").read_text()
    message = json.loads((folder / "jobs/fails/run.json").read_bytes())["statusMessage"]
    assert message.endswith("[secret]")


def test_later_commands_show_no_secret(done: tuple[Command, Path, str]) -> None:
    """A process that resumes the batch, or downloads again, knows its secrets."""
    command, folder, _ = done
    (folder / "jobs/fails/run.json").unlink()
    assert command.run("collect", "nightly").code == 1
    again = command.run("retry", "nightly")
    assert again.code == 1
    assert SECRET not in again.out + again.err
    assert len(holders(command.folder)) == 1


@pytest.mark.parametrize("words", [["status", "nightly", "--why", "fails"], ["retry", "nightly"]])
def test_message_of_a_run_cannot_control_a_terminal(
    done: tuple[Command, Path, str], words: list[str]
) -> None:
    """Escape sequences, direction marks and line breaks of a status message are harmless."""
    command, folder, err = done
    shown = command.run(*words)
    texts = [err, shown.out, shown.err, (folder / "report.html").read_text()]
    texts += [(folder / name).read_text() for name in ("jobs.jsonl", "log.jsonl")]
    for text in texts:
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
        assert "\nd [secret]" not in text


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "pipe"])
@pytest.mark.parametrize("words", ["logs logged one", "export logged --format csv --to -"])
def test_what_an_actor_made_has_no_escape_sequences_on_a_terminal(
    command: Command, words: str, is_terminal: bool
) -> None:
    """A terminal gets the log and the items without them; a pipe gets them unchanged."""
    command.write("s.toml", LOGGED)
    assert command.run("run", "s.toml").code == 0
    made = on_a_terminal if is_terminal else lambda command, *words: command.run(*words).out
    shown = made(command, *words.split())
    assert ("ab?c?d" in shown) == is_terminal
    assert ("a\x9b2Jb\x07c\u202ed" in shown) != is_terminal


def on_a_terminal(command: Command, *words: str) -> str:
    """The output of a command on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *words],
        cwd=command.folder,
        env=command.environment(),
        stdout=theirs,
        stdin=subprocess.DEVNULL,
    ) as process:
        os.close(theirs)
        shown = b""
        # Linux signals the end of a terminal by an error.
        with suppress(OSError):
            while piece := os.read(ours, 4096):
                shown += piece
        os.close(ours)
        assert process.wait(30) == 0
    return shown.decode()


def test_log_that_is_kept_has_no_secret(command: Command) -> None:
    """An Actor that prints its input tells no later command what is in it."""
    known = replace(command, variables={**command.variables, "KEY": SECRET})
    known.write("s.toml", PRINTED)
    ran = known.run("run", "s.toml", "--json")
    # Without the variable, a process cannot know which part of a text is the secret.
    later = [command.run(*words) for words in (("status", "printed"), ("report", "printed"))]
    (group,) = ran.json["failures"]
    assert group["traceback_end"] == "ValueError: the key [secret] is not valid"
    assert all(SECRET not in done.out + done.err for done in (ran, *later))
    assert "ValueError: the key [secret] is not valid" in later[0].out
    assert holders(command.folder) == []


def test_validate_warns_of_values_that_are_too_short_to_be_redacted(tmp_path: Path) -> None:
    """It names their variables and never the values; an empty one is short, too."""
    variables = {"LONG": "open-sesame", "SHORT": "hunter2", "EMPTY": ""}
    command = Command(folder=tmp_path, variables=variables)
    command.write("s.toml", SHORT)
    done = command.run("validate", "s.toml")
    assert done.code == 0, done.err
    told = re.findall(r"warning: s\.toml: the value of the environment variable (\w+)", done.err)
    assert (told, "hunter2" in done.err) == (["EMPTY", "SHORT"], False), done.err
    (spec,) = command.run("validate", "s.toml", "--json").json["specs"]
    assert (spec["valid"], len(spec["warnings"])) == (True, 2)
