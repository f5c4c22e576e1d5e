"""What spoils one run does not end the emulator."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from apify_emulator.errors import SetupError
from apify_emulator.stand_ins.stand_in_files import StandInRun, write_stand_in
from tests.emulator.caller import calling
from tests.emulator.sample_actors import write_actor, write_node_actor, write_npm


async def test_run_whose_log_cannot_be_written_fails_alone(tmp_path: Path, envs_dir: Path) -> None:
    """A log that cannot be written, as on a full disk, fails its run and not the emulator."""
    logs = tmp_path / "data" / "logs"
    code = f"""
        import shutil
        shutil.rmtree({str(logs)!r})
        open({str(logs)!r}, "w").close()
        print("hello")
        time.sleep(600)
    """
    actors = write_actor(tmp_path / "actors", "talker", code)
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await call.wait((await call("POST", "actors/~talker/runs")).data)
        assert run["status"] == "FAILED"
        assert run["statusMessage"].startswith("The run cannot continue: [Errno 17] File exists")
        assert (await call.finish())["status"] == "SUCCEEDED"


async def test_variable_that_no_process_can_have_fails_its_run_alone(
    tmp_path: Path, envs_dir: Path
) -> None:
    """An `actor.json` with a variable that the system refuses fails the run, not the emulator."""
    actors = write_actor(tmp_path / "actors", "odd", "", environmentVariables={"A=B": "c"})
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await call.wait((await call("POST", "actors/~odd/runs")).data)
        assert run["status"] == "FAILED"
        assert run["statusMessage"].startswith("The run cannot continue: ")
        assert (await call.finish())["status"] == "SUCCEEDED"


async def test_build_without_readable_requirements_has_a_log_that_says_so(
    tmp_path: Path, envs_dir: Path
) -> None:
    """A `pyproject.toml` with a mistake fails the run, and the log of the build shows why."""
    actors = write_actor(tmp_path / "actors", "torn", "")
    (actors / "torn" / "pyproject.toml").write_text("[project")
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await call.wait((await call("POST", "actors/~torn/runs")).data)
        assert run["status"] == "FAILED"
        log = await call("GET", f"actor-builds/{run['buildId']}/log")
        assert log.status == 200
        assert b"pyproject.toml: cannot be read" in log.body


async def test_number_of_items_of_another_type_is_refused_at_the_start(tmp_path: Path) -> None:
    """`actor.json` is checked once, so that no start meets a text where a number belongs."""
    actors = write_actor(tmp_path / "actors", "odd", "", defaultRunOptions={"maxItems": "10"})
    with pytest.raises(SetupError, match=r'actor.json: "maxItems" must be a whole number'):
        async with calling(tmp_path / "data", actors_dirs=(actors,)):
            pass


async def test_actor_may_get_another_name_while_it_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first run whose Actor is renamed during the build of its environment runs to its end."""
    actors = write_node_actor(tmp_path / "actors", "old")
    built = tmp_path / "built"
    script = f'[ "$1" = start ] || until [ -e "{built}" ]; do sleep 0.05; done'
    monkeypatch.setenv("PATH", write_npm(tmp_path / "bin", script))
    options = {"actors_dirs": (actors,), "envs_dir": tmp_path / "envs"}
    async with calling(tmp_path / "data", **options) as call:
        run = (await call("POST", "actors/~old/runs", waitForFinish=0.5)).data
        assert run["status"] == "READY"
        (actors / "old" / ".actor" / "actor.json").write_bytes(orjson.dumps({"name": "new"}))
        assert (await call("GET", "actors/~old")).status == 404
        built.touch()
        assert (await call.wait(run))["status"] == "SUCCEEDED"


async def test_deleted_recording_ends_its_run_at_the_next_start(tmp_path: Path) -> None:
    """A stand-in that is deleted while the emulator is down fails its active run, and no more."""
    stand_in = StandInRun(items=[b'{"a": 1}'], facts={"durationSecs": 600})
    folder = write_stand_in(tmp_path / "actors", "apify/maps", stand_in)
    async with calling(tmp_path) as call:
        run = (await call("POST", "actors/apify~maps/runs", json={})).data
    shutil.rmtree(folder)
    async with calling(tmp_path) as call:
        ended = (await call("GET", f"actor-runs/{run['id']}")).data
        assert (ended["status"], ended["exitCode"]) == ("FAILED", None)
        assert "recordings" in ended["statusMessage"]
        resurrected = await call("POST", f"actor-runs/{run['id']}/resurrect")
        assert resurrected.error == (404, "record-not-found")
        assert (await call("GET", f"actor-runs/{run['id']}")).data["status"] == "FAILED"
