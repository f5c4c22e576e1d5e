"""How programs and tests use an emulator: `exec`, `serve --env`, the plugin, the handle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from apify_emulator import EmulatorHandle, running_emulator
from tests.emulator.emulator_command import run_command, serving, start_command
from tests.support.command import LONGEST_SECS

PROGRAM = """
import os
from apify_client import ApifyClient

client = ApifyClient(os.environ["APIFY_TOKEN"], api_url=os.environ["APIFY_API_BASE_URL"])
print(client.user().get().username)
raise SystemExit(7)
"""

PLUGIN_TEST = """
import os
import pytest

@pytest.mark.parametrize("turn", [1, 2])
def test_each_begins_with_an_empty_account(apify_emulator, turn):
    assert apify_emulator.runs() == []
    assert os.environ["APIFY_API_BASE_URL"] == apify_emulator.url
    apify_emulator.add_actor(
        "apify/instagram-scraper", [{"likes": 3}], duration_secs=3600, cost_usd=0.02
    )
    started = apify_emulator.client.actor("apify/instagram-scraper").start()
    apify_emulator.advance(3600)
    run = apify_emulator.client.run(started.id).get()
    assert (run.status, run.usage_total_usd) == ("SUCCEEDED", 0.02)
    items = apify_emulator.client.dataset(run.default_dataset_id).list_items().items
    assert items == [{"likes": 3}]
    assert [run["status"] for run in apify_emulator.runs()] == ["SUCCEEDED"]
"""


def test_exec_runs_a_program_with_the_variables_of_an_emulator(tmp_path: Path) -> None:
    """With one word before a command, the official client uses the emulator; the code is kept."""
    words = ["exec", "--data", str(tmp_path), "--", sys.executable, "-c", PROGRAM]
    done = run_command(*words)
    assert (done.code, done.out, done.err) == (7, "local\n", "")


def test_exec_needs_no_dashes_before_a_program(tmp_path: Path) -> None:
    """Options after the program are those of the program."""
    done = run_command("exec", "--data", str(tmp_path), sys.executable, "-c", "print(1)")
    assert (done.code, done.out) == (0, "1\n")


def test_exec_uses_the_emulator_that_serves_the_data_folder(tmp_path: Path) -> None:
    """Beside a running emulator, `exec` starts no second one, except with `--fresh`."""
    show = [sys.executable, "-c", "import os; print(os.environ['APIFY_API_BASE_URL'])"]
    with serving(tmp_path) as (_, url, _token):
        shared = run_command("exec", "--data", str(tmp_path), "--", *show)
        fresh = run_command("exec", "--fresh", "--data", str(tmp_path), "--", *show)
    assert shared.out.strip() == url
    assert fresh.out.strip() != url


def test_exec_names_options_that_a_running_emulator_does_not_take(tmp_path: Path) -> None:
    """A forgotten `serve` has other Actors and limits than the ones that `exec` is given."""
    words = ["--max-runs", "3", "--actors", str(tmp_path), "--", "true"]
    with serving(tmp_path / "data"):
        warned = run_command("exec", "--data", str(tmp_path / "data"), *words)
        silent = run_command("exec", "--data", str(tmp_path / "data"), "--", "true")
    assert (warned.code, silent.err) == (0, "")
    assert "warning: --actors, --max-runs without effect: another process serves" in warned.err


def test_exec_forwards_signals_and_reports_programs_that_cannot_start(tmp_path: Path) -> None:
    """The program gets the signal, and the exit codes are those of a shell."""
    assert run_command("exec", "--data", str(tmp_path), "--", "/no/such/program").code == 127
    code = "import signal, sys; print('up', flush=True); signal.pause()"
    process = start_command("exec", "--data", str(tmp_path), "--", sys.executable, "-c", code)
    assert process.first_line() == "up"
    process.send_signal(signal.SIGTERM)
    process.communicate(LONGEST_SECS)
    assert process.code == 128 + signal.SIGTERM


def test_serve_writes_the_variables_to_a_file(tmp_path: Path) -> None:
    """A step of a workflow on GitHub adds them to the file of the job's variables."""
    variables = tmp_path / "github_env"
    variables.write_text("OLD=1\n")
    with serving(tmp_path / "data", "--env", str(variables)) as (_, url, token):
        lines = variables.read_text().splitlines()
    assert lines[0] == "OLD=1"
    assert {f"APIFY_TOKEN={token}", f"APIFY_API_BASE_URL={url}"} < set(lines)


def test_new_file_of_variables_is_for_its_owner_only(tmp_path: Path) -> None:
    """The file has the token, so other users of the machine cannot read it."""
    variables = tmp_path / "new.env"
    with serving(tmp_path / "data", "--env", str(variables)):
        assert variables.stat().st_mode & 0o777 == 0o600


def test_serve_prints_the_variables_for_a_shell(tmp_path: Path) -> None:
    """The lines can be pasted into a shell."""
    process = start_command("serve", "--data", str(tmp_path), "--env")
    assert process.first_line().startswith("export APIFY_TOKEN=apify_api_")
    process.terminate()
    process.communicate(LONGEST_SECS)


def test_plugin_gives_each_test_an_empty_account(tmp_path: Path) -> None:
    """The fixture needs no set-up: it has stand-ins, the official client, the clock, a reset."""
    (tmp_path / "test_mine.py").write_text(PLUGIN_TEST)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    words += ["-p", "apify_emulator.testing.pytest_plugin", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        words, cwd=tmp_path, env={**os.environ, "PYTEST_ADDOPTS": ""}, capture_output=True,
        text=True, timeout=LONGEST_SECS, check=False,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_plugin_imports_nothing_heavy() -> None:
    """A session without the fixture does not wait for the emulator."""
    code = "import sys, apify_emulator.testing.pytest_plugin; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("aiohttp", "anyio", "pydantic"):
        assert f"'{heavy}'" not in done.stdout


def test_handle_gives_items_by_input(tmp_path: Path) -> None:
    """A stand-in for one input gives its own items; the same input again replaces them."""
    given = {"query": "x", "pages": 1}
    with running_emulator(data_dir=tmp_path) as emulator:

        def items(run_input: Mapping[str, object]) -> object:
            place = "v2/actors/acme~search/run-sync-get-dataset-items"
            return emulator.call("POST", place, run_input)

        emulator.add_actor("acme/search", [{"n": 0}])
        emulator.add_actor("acme/search", [{"n": 1}], for_input=given)
        emulator.add_actor("acme/search", [{"n": 2}], for_input={"query": "y"})
        assert [items(one) for one in (given, {"query": "y"}, {"query": "z"})] == [
            [{"n": 1}], [{"n": 2}], [{"n": 0}],
        ]  # fmt: skip
        emulator.add_actor("acme/search", [{"n": 3}], for_input={"pages": 1, "query": "x"})
        assert items(given) == [{"n": 3}]


def test_handle_sets_faults_and_limits(tmp_path: Path) -> None:
    """A script can request refusals, and gets a message for its mistakes."""
    with running_emulator(data_dir=tmp_path) as emulator:
        assert isinstance(emulator, EmulatorHandle)
        emulator.faults({"path": "/users/me$", "do": "refuse", "status": 403, "message": "No."})
        with pytest.raises(RuntimeError, match=r"GET v2/users/me: 403: No\."):
            emulator.call("GET", "v2/users/me")
        emulator.faults()
        assert emulator.call("GET", "v2/users/me")["data"]["username"] == "local"
        with pytest.raises(RuntimeError, match="Unknown field maxRun"):
            emulator.limits(maxRun=1)
