"""The command `apify-emulator`, as a user runs it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.emulator.emulator_command import run_command, serving, start_command
from tests.emulator.sample_actors import write_actor, write_node_actor, write_npm
from tests.support.command import LONGEST_SECS, ServedPlatform


def _username(url: str, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{url}/v2/users/me", headers=headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=LONGEST_SECS) as answer:  # noqa: S310 - loopback
        name: str = json.load(answer)["data"]["username"]
    return name


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_serve_answers_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    """The first line has the URL and the token; a signal ends the emulator with exit code 0."""
    with serving(tmp_path) as (process, url, token):
        assert _username(url, token) == "local"
        process.send_signal(number)
        process.communicate(LONGEST_SECS)
    assert process.code == 0


def test_serve_takes_its_token_from_a_variable(tmp_path: Path) -> None:
    """Other users can read an argument, but not a variable."""
    with serving(tmp_path, APIFY_EMULATOR_TOKEN="chosen-token") as (_, url, token):
        assert token == "chosen-token"
        assert _username(url, token) == "local"


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux limits the files of another process"
)
def test_full_disk_ends_the_emulator_with_a_message(tmp_path: Path) -> None:
    """It is no bug, and the next emulator on the same data continues the runs."""
    runs = "/acts/orchestrator~simulated/runs"
    with serving(tmp_path) as (process, url, token):
        platform = ServedPlatform(url=url, token=token)
        run = platform.post(runs, {"duration_secs": 1})
        size = (tmp_path / "journal.jsonl").stat().st_size
        # A limit on the size of files is like a full disk.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        with pytest.raises(HTTPError, match="500") as refused:
            platform.post(runs, {"duration_secs": 1})
        assert b"make room" in refused.value.read()
        _, err = process.communicate(LONGEST_SECS)
    said = "the disk is full: make room, then start the emulator again, and its runs continue"
    assert (process.code, err) == (2, f"apify-emulator: {said}\n")
    with serving(tmp_path) as (_, url, token):
        ended = ServedPlatform(url=url, token=token).get(
            f"/actor-runs/{run['id']}?waitForFinish=30"
        )
        assert ended["status"] == "SUCCEEDED"


def test_second_emulator_on_the_same_data_ends_with_4(tmp_path: Path) -> None:
    """Two emulators never write to the same data folder."""
    with serving(tmp_path):
        done = run_command("serve", "--data", str(tmp_path))
    assert done.code == 4
    assert str(tmp_path) in done.err
    assert "choose another folder" in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["build", "--actors", "missing"], "missing: no such folder", id="actors"),
        pytest.param(["serve", "--faults", "missing.json"], "missing.json: cannot", id="faults"),
        pytest.param(["serve", "--max-runs", "-1"], "expected a whole number from 0", id="runs"),
        pytest.param(["serve", "--sync-wait-secs", "nan"], "expected a number of", id="secs"),
        pytest.param(["serve", "--sync-wait-secs", "x"], "number of seconds from 0", id="text"),
        pytest.param(["build"], "no Actor to build; name a folder of Actors", id="nothing"),
        pytest.param(["add", "a/b", "no"], "name one that has items.jsonl, input_sch", id="folder"),
        pytest.param(["serve", "--port", "99999"], "expected a port from 0 to", id="port"),
        pytest.param(["serve", "--data", ""], "expected a path", id="empty-path"),
        pytest.param(["serve", "--token", "a b"], "a token has letters, digits", id="token"),
        pytest.param([], "COMMAND", id="no-command"),
        pytest.param(["exec"], "exec needs a program", id="no-program"),
        pytest.param(["add", "a/b", "--items", "x.csv"], "one JSON object in each", id="csv"),
    ],
)
def test_mistake_ends_with_2_and_names_itself(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of the user is one clear line, without a traceback."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("likes\n3\n")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    done = run_command(*words)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_build_says_which_environment_it_builds(tmp_path: Path) -> None:
    """A build can take minutes, so its first line says what it does; the second build is silent."""
    actors = write_actor(tmp_path / "actors", "hello", "")
    words = ("build", "--actors", str(actors), "--data", str(tmp_path / "data"))
    first = run_command(*words, XDG_CACHE_HOME=str(tmp_path / "cache"))
    second = run_command(*words, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (first.code, second.code) == (0, 0)
    begun, ended = first.err.splitlines()
    assert begun.startswith("local/hello: building its environment once (no requirements.txt)")
    assert ended.startswith("local/hello: built in ")
    assert second.err == ""


def test_folder_without_actors_is_said(tmp_path: Path) -> None:
    """`build` refuses a folder without an Actor, and `serve` warns: both say what is missing."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run_command("build", "--actors", str(empty), "--data", str(tmp_path / "data"))
    assert done.code == 2
    assert "empty: has no Actor; an Actor is this folder" in done.err


def test_interrupted_build_leaves_no_environment(tmp_path: Path) -> None:
    """SIGINT ends a build with exit code 130, and the next build begins again."""
    actors, fifo, cache = tmp_path / "actors", tmp_path / "fifo", tmp_path / "cache"
    write_node_actor(actors, "hello")
    os.mkfifo(fifo)
    path = write_npm(tmp_path / "bin", f"echo started > {fifo}\nexec sleep 600")
    variables = {"PATH": path, "XDG_CACHE_HOME": str(cache)}
    words = ("build", "--actors", str(actors), "--data", str(tmp_path / "data"))
    process = start_command(*words, **variables)
    assert fifo.read_text() == "started\n"
    process.send_signal(signal.SIGINT)
    process.communicate(LONGEST_SECS)
    assert process.code == 130
    kept = {path.suffix for path in (cache / "orchestrator" / "actor-envs").iterdir()}
    assert kept <= {".lock", ".log"}


def test_help_lists_commands_variables_and_exit_codes() -> None:
    """The help is enough to use the command without its page."""
    shown = run_command("--help").out
    for word in ("serve", "build", "APIFY_EMULATOR_TOKEN", "exit codes:"):
        assert word in shown
    for option in ("--actors", "--data", "--port", "--faults", "--max-runs"):
        assert option in run_command("serve", "--help").out


def test_help_does_not_import_the_server() -> None:
    """The help is printed at once, because the HTTP library is imported when it is needed."""
    code = "import sys, apify_emulator.cli.main; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
