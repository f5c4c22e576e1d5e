"""The processes of real Actors: their environment, their limits and their end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from apify_emulator.errors import BuildFailed
from apify_emulator.processes.python_requirements import requirements_of
from tests.emulator.caller import Caller, calling
from tests.emulator.sample_actors import process_lives, write_actor, write_node_actor, write_npm
from tests.support.command import LONGEST_SECS


async def _start(call: Caller, name: str, *, json: Any = None, **query: Any) -> dict[str, Any]:
    reply = await call("POST", f"actors/~{name}/runs", json=json, **query)
    assert reply.status == 201, reply.body
    run: dict[str, Any] = reply.data
    return run


async def _until(call: Caller, run: dict[str, Any], is_so: Callable[[dict[str, Any]], bool]) -> Any:
    """Reads a run until a condition is true, because its process cannot be observed directly."""
    with anyio.fail_after(LONGEST_SECS):
        while True:
            seen = (await call("GET", f"actor-runs/{run['id']}", waitForFinish=0.05)).data
            if is_so(seen):
                return seen


def _says(message: str) -> Callable[[dict[str, Any]], bool]:
    return lambda run: run["statusMessage"] == message


def _says_a_number(run: dict[str, Any]) -> bool:
    """Whether the process has said its number; before that, the platform may say that it builds."""
    return str(run["statusMessage"]).isdigit()


async def test_process_gets_input_and_writes_items_output_and_log(
    tmp_path: Path, envs_dir: Path
) -> None:
    """An Actor reads its input, pushes items, and writes its output and its log."""
    code = """
        given = json.loads(api("GET", STORE + "/records/INPUT"))
        print("working on", given["word"])
        print("oops", file=sys.stderr)
        push([{"word": given["word"]}, {"word": given["word"].upper()}])
        api("PUT", STORE + "/records/OUTPUT", {"count": 2})
        say("done")
    """
    actors = write_actor(tmp_path / "actors", "words", code)
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await call.wait(await _start(call, "words", json={"word": "ape"}))
        log = (await call("GET", f"actor-runs/{run['id']}/log")).body.decode()
        assert (run["status"], run["exitCode"], run["statusMessage"]) == ("SUCCEEDED", 0, "done"), (
            log
        )
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items", format="jsonl")
        assert items.lines == [{"word": "ape"}, {"word": "APE"}]
        output = await call("GET", f"actor-runs/{run['id']}/key-value-store/records/OUTPUT")
        assert output.json() == {"count": 2}
        lines = log.splitlines()
        assert any(line.endswith("Z working on ape") for line in lines)
        assert any(line.endswith("Z oops") for line in lines)


async def test_process_gets_a_clean_environment(
    tmp_path: Path, envs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Actor gets Apify's variables and none of the owner's."""
    monkeypatch.setenv("OWNERS_SECRET", "s3cret")
    actors = write_actor(tmp_path / "actors", "env", "push(dict(os.environ))")
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await call.wait(await _start(call, "env", memory=512, timeout=60))
        (env,) = (await call("GET", f"datasets/{run['defaultDatasetId']}/items")).json()
        assert "OWNERS_SECRET" not in env
        assert env["ACTOR_RUN_ID"] == env["APIFY_ACTOR_RUN_ID"] == run["id"]
        assert env["ACTOR_MEMORY_MBYTES"] == "512"
        assert env["APIFY_IS_AT_HOME"] == "1"
        assert env["ACTOR_TIMEOUT_AT"].endswith("Z")
        assert env["APIFY_TOKEN"] != call.emulator.token.get_secret_value()


async def test_process_that_fails_shows_its_exit_code(tmp_path: Path, envs_dir: Path) -> None:
    """An exit code other than 0 makes the run FAILED."""
    actors = write_actor(tmp_path / "actors", "failing", "sys.exit(7)")
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await call.wait(await _start(call, "failing"))
        assert (run["status"], run["exitCode"]) == ("FAILED", 7)
        assert run["statusMessage"] == "Actor process ended with exit code 7"


async def test_process_is_restarted_on_error_with_restart_on_error(
    tmp_path: Path, envs_dir: Path
) -> None:
    """With restartOnError the run gets another process."""
    code = """
        try:
            api("GET", STORE + "/records/SEEN")
        except Exception:
            api("PUT", STORE + "/records/SEEN", 1)
            sys.exit(3)
    """
    actors = write_actor(tmp_path / "actors", "flaky", code)
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await call.wait(await _start(call, "flaky", restartOnError=True))
        assert (run["status"], run["stats"]["restartCount"]) == ("SUCCEEDED", 1)


async def test_process_is_stopped_at_its_timeout(tmp_path: Path, envs_dir: Path) -> None:
    """A process that takes too long is stopped, even when it ignores SIGTERM."""
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)"
    actors = write_actor(tmp_path / "actors", "slow", code)
    async with calling(
        tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir, stop_grace_secs=0.2
    ) as call:
        run = await call.wait(await _start(call, "slow", timeout=1))
        assert run["status"] == "TIMED-OUT"


@pytest.mark.parametrize("gracefully", [True, False])
async def test_abort_ends_the_process_and_all_it_started(
    tmp_path: Path, envs_dir: Path, gracefully: bool
) -> None:
    """No process of an aborted run survives, not even a grandchild."""
    code = """
        import subprocess
        child = subprocess.Popen(["sleep", "600"])
        say(str(child.pid))
        time.sleep(600)
    """
    actors = write_actor(tmp_path / "actors", "parent", code)
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await _start(call, "parent")
        seen = await _until(call, run, _says_a_number)
        await call("POST", f"actor-runs/{run['id']}/abort", gracefully=gracefully)
        assert (await call.wait(run))["status"] == "ABORTED"
        assert not process_lives(int(seen["statusMessage"]))


async def test_graceful_abort_lets_the_process_save(tmp_path: Path, envs_dir: Path) -> None:
    """A process that handles SIGTERM can save its state."""
    code = """
        def stop(*_):
            push({"saved": True})
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        say("ready")
        time.sleep(600)
    """
    actors = write_actor(tmp_path / "actors", "saver", code)
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await _start(call, "saver")
        await _until(call, run, _says("ready"))
        await call("POST", f"actor-runs/{run['id']}/abort", gracefully=1)
        assert (await call.wait(run))["status"] == "ABORTED"
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items")
        assert items.json() == [{"saved": True}]


async def test_reboot_gives_a_new_process_and_a_new_token(tmp_path: Path, envs_dir: Path) -> None:
    """After a reboot the old token is not valid, and the storages are the same."""
    code = """
        push({"token": os.environ["APIFY_TOKEN"]})
        say("up")
        time.sleep(600)
    """
    actors = write_actor(tmp_path / "actors", "rebooter", code)
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await _start(call, "rebooter")
        await _until(call, run, _says("up"))
        await call("PUT", f"actor-runs/{run['id']}", json={"statusMessage": "down"})
        await call("POST", f"actor-runs/{run['id']}/reboot")
        again = await _until(call, run, _says("up"))
        assert again["stats"]["rebootCount"] == 1
        items = (await call("GET", f"datasets/{run['defaultDatasetId']}/items")).json()
        old, new = (item["token"] for item in items)
        for token, status in ((old, 401), (new, 200)):
            headers = {"Authorization": f"Bearer {token}"}
            assert (await call("GET", "users/me", headers=headers)).status == status


async def test_metamorph_runs_another_actor_on_the_same_storages(
    tmp_path: Path, envs_dir: Path
) -> None:
    """A run becomes a run of another Actor with a new input."""
    actors = write_actor(tmp_path / "actors", "larva", "say('up'); time.sleep(600)")
    code = "push(json.loads(api('GET', STORE + '/records/' + os.environ['ACTOR_INPUT_KEY'])))"
    write_actor(actors, "moth", code)
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await _start(call, "larva", json={"stage": 1})
        await _until(call, run, _says("up"))
        reply = await call(
            "POST", f"actor-runs/{run['id']}/metamorph", json={"stage": 2}, targetActorId="~moth"
        )
        assert reply.data["metamorphs"][0]["inputKey"] == "INPUT-METAMORPH-1"
        ended = await call.wait(run)
        assert ended["status"] == "SUCCEEDED"
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items")
        assert items.json() == [{"stage": 2}]


async def test_runs_wait_as_ready_for_a_slot(tmp_path: Path, envs_dir: Path) -> None:
    """Only as many processes run as there are slots; an aborted waiting run never starts."""
    actors = write_actor(tmp_path / "actors", "long", "say('up'); time.sleep(600)")
    async with calling(
        tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir, process_slots=1
    ) as call:
        first = await _start(call, "long")
        await _until(call, first, _says("up"))
        second = await _start(call, "long")
        assert (await call("GET", f"actor-runs/{second['id']}")).data["status"] == "READY"
        await call("POST", f"actor-runs/{second['id']}/abort")
        assert (await call.wait(second))["status"] == "ABORTED"
        third = await _start(call, "long")
        await call("POST", f"actor-runs/{first['id']}/abort")
        await _until(call, third, _says("up"))


async def test_log_is_followed_until_the_run_ends(tmp_path: Path, envs_dir: Path) -> None:
    """A followed log gives each line when it is printed, and ends with the run."""
    code = "print('first'); say('up'); time.sleep(0.3); print('second')"
    actors = write_actor(tmp_path / "actors", "talker", code)
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await _start(call, "talker")
        followed = await call("GET", f"logs/{run['id']}", stream=1)
        words = [line.split("Z ", 1)[-1] for line in followed.body.decode().splitlines()]
        assert words[-2:] == ["first", "second"]


async def test_log_is_cut_at_its_limit(tmp_path: Path, envs_dir: Path) -> None:
    """A log that is too long ends with a line that says so."""
    actors = write_actor(tmp_path / "actors", "chatty", "print('x' * 50000)\nprint('y' * 50000)")
    async with calling(
        tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir, max_log_bytes=10_000
    ) as call:
        run = await call.wait(await _start(call, "chatty"))
        log = (await call("GET", f"logs/{run['id']}")).body
        assert len(log) < 10_200
        assert b"the rest is left out" in log


async def test_actor_that_cannot_be_built_fails_and_says_why(
    tmp_path: Path, envs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed build fails the run; the message has the reason and the path of the log."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    actors = write_actor(tmp_path / "actors", "broken", "pass")
    (actors / "broken" / "requirements.txt").write_text("./not-there\n")
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await call.wait(await _start(call, "broken"))
        assert run["status"] == "FAILED"
        assert "building the environment failed" in run["statusMessage"]
        assert not any(name.endswith(".building") for name in os.listdir(envs_dir))  # noqa: PTH208


async def test_input_schema_fills_defaults_and_refuses(tmp_path: Path, envs_dir: Path) -> None:
    """An Actor's input schema gives defaults, and inputs that break it are refused."""
    schema = {
        "title": "Input",
        "type": "object",
        "schemaVersion": 1,
        "properties": {
            "word": {"title": "Word", "type": "string", "description": "A word", "minLength": 2},
            "times": {
                "title": "Times",
                "type": "integer",
                "description": "How often",
                "default": 3,
            },
        },
        "required": ["word"],
    }
    actors = write_actor(
        tmp_path / "actors",
        "strict",
        "push(json.loads(api('GET', STORE + '/records/INPUT')))",
        input=schema,
        defaultRunOptions={"memoryMbytes": 256, "timeoutSecs": 99},
    )
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        for wrong in ({}, {"word": "a"}, {"word": 5}, {"word": "ape", "times": "many"}):
            reply = await call("POST", "actors/~strict/runs", json=wrong)
            assert reply.error == (400, "invalid-input")
        run = await _start(call, "strict", json={"word": "ape"})
        assert (run["options"]["memoryMbytes"], run["options"]["timeoutSecs"]) == (256, 99)
        await call.wait(run)
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items")
        assert items.json() == [{"word": "ape", "times": 3}]


async def test_no_process_survives_the_emulator(tmp_path: Path, envs_dir: Path) -> None:
    """When the emulator closes, all processes end."""
    actors = write_actor(tmp_path / "actors", "pid", "say(str(os.getpid())); time.sleep(600)")
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await _start(call, "pid")
        seen = await _until(call, run, _says_a_number)
        pid = int(seen["statusMessage"])
        assert process_lives(pid)
    assert not process_lives(pid)
    assert pid != os.getpid()


async def test_run_says_that_its_environment_is_being_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a READY run reads the reason in its status message and its log."""
    actors = write_node_actor(tmp_path / "actors", "slow")
    monkeypatch.setenv("PATH", write_npm(tmp_path / "bin", "exec sleep 600"))
    options = {"actors_dirs": (actors,), "envs_dir": tmp_path / "envs"}
    async with calling(tmp_path / "data", **options) as call:
        run = (await call("POST", "actors/local~slow/runs", waitForFinish=1)).data
        assert run["status"] == "READY"
        assert run["statusMessage"].startswith("Building the environment of the Actor once (npm")
        assert b"Building the environment" in (await call("GET", f"logs/{run['id']}")).body
        await call("POST", f"actor-runs/{run['id']}/abort")
        assert (await call.wait(run))["status"] == "ABORTED"


async def test_runs_that_wait_for_runs_of_their_own_do_not_take_all_places(
    tmp_path: Path, envs_dir: Path
) -> None:
    """Actors that call Actors end, however few processes there may be at once."""
    code = """
        left = json.loads(api("GET", STORE + "/records/INPUT"))["left"]
        if left:
            print(api("POST", "actors/~caller/run-sync", {"left": left - 1}))
        api("PUT", STORE + "/records/OUTPUT", left)
    """
    actors = write_actor(tmp_path / "actors", "caller", code)
    async with calling(
        tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir, process_slots=1
    ) as call:
        runs = [await _start(call, "caller", json={"left": 2}, timeout=30) for _ in range(2)]
        assert [(await call.wait(run))["status"] for run in runs] == ["SUCCEEDED"] * 2
        assert (await call("GET", "actors/~caller/runs")).data["total"] == 6


def test_python_actor_can_have_its_dependencies_in_a_project_file(tmp_path: Path) -> None:
    """A `pyproject.toml` without `requirements.txt` is enough; without a list it says why not."""
    described = tmp_path / "pyproject.toml"
    described.write_text('[project]\nname = "x"\ndependencies = ["apify>=3", "lxml"]\n')
    needed = requirements_of(tmp_path)
    assert needed is not None
    assert needed.text == b"apify>=3\nlxml\n"
    described.write_text('[tool.poetry]\nname = "x"\n')
    with pytest.raises(BuildFailed, match="has no list of dependencies in"):
        requirements_of(tmp_path)
    (tmp_path / "requirements.txt").write_text("apify\n")
    needed = requirements_of(tmp_path)
    assert needed is not None
    assert needed.text == b"apify\n"


async def test_folder_that_cannot_be_read_hides_no_other_actor(tmp_path: Path) -> None:
    """A mistake in one folder concerns its Actor alone, and the refusal names the file."""
    actors = write_actor(tmp_path / "actors", "first", "pass")
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        write_actor(actors, "broken", "pass")
        (actors / "broken" / ".actor" / "actor.json").write_text("{")
        write_actor(actors, "second", "pass")
        for name in ("first", "second"):
            assert (await call("GET", f"actors/local~{name}")).status == 200
        reply = await call("GET", "actors/local~broken")
        assert reply.error == (400, "invalid-build")
        assert "broken/.actor/actor.json" in reply.body.decode()


async def test_shell_actor_runs_with_the_variables_of_the_cli(tmp_path: Path) -> None:
    """A `main.sh` is an Actor too, and Apify's CLI in it calls the emulator."""
    actors = write_actor(tmp_path / "actors", "script", "")
    (actors / "script" / "main.py").unlink()
    (actors / "script" / "main.sh").write_text('echo "at $APIFY_CLIENT_BASE_URL"')
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        run = await call.wait(await _start(call, "script"))
        assert run["status"] == "SUCCEEDED"
        log = (await call("GET", f"actor-runs/{run['id']}/log")).body.decode()
        assert f"at {call.emulator.url}\n" in log
