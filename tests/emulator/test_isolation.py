"""What Actors can leave behind, and what they can reach."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from apify_emulator import read_address
from apify_emulator.processes.orphans import kill_orphans
from tests.emulator.actors import process_lives, write_actor
from tests.emulator.calling import SIMULATED, Caller, calling

DAEMON = """
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            api("PUT", STORE + "/records/PID", os.getpid())
            time.sleep(600)
        os._exit(0)
    os.wait()
    while b"PID" not in api("GET", STORE + "/keys"):
        time.sleep(0.02)
"""


async def _start(call: Caller, name: str, *, json: Any = None, **query: Any) -> dict[str, Any]:
    reply = await call("POST", f"actors/~{name}/runs", json=json, **query)
    assert reply.status == 201, reply.body
    run: dict[str, Any] = reply.data
    return run


@pytest.mark.parametrize("end", ["pass", "sys.exit(3)", "time.sleep(600)"])
async def test_process_that_daemonises_ends_with_its_run(
    tmp_path: Path, envs_dir: Path, end: str
) -> None:
    """A session of its own and a double fork do not let a process outlive its run."""
    actors = write_actor(tmp_path / "actors", "daemon", DAEMON + f"    {end}\n")
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await _start(call, "daemon")
        record = f"actor-runs/{run['id']}/key-value-store/records/PID"
        with anyio.fail_after(60):
            while (kept := await call("GET", record)).status != 200:
                await call("GET", f"actor-runs/{run['id']}", waitForFinish=0.05)
        if "sleep" in end:
            await call("POST", f"actor-runs/{run['id']}/abort")
        with anyio.fail_after(60):
            await call.wait(run)
        assert not process_lives(kept.json())


def test_processes_of_ended_runs_are_found_at_the_next_start() -> None:
    """A process is known by the run in its environment, whoever its parent is."""
    environment = {**os.environ, "ACTOR_RUN_ID": "an-ended-run"}
    code = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert kill_orphans(["another-run"]) == 0
        assert kill_orphans(["another-run", "an-ended-run"]) == 1
        assert process.wait(10) == -signal.SIGKILL


LOOK = """
    def status(method, path, body=None):
        try:
            api(method, path, body)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    given = json.loads(api("GET", STORE + "/records/INPUT"))
    push([{"status": status(*request)} for request in given["do"]])
"""


async def _statuses_seen(call: Caller, do: list[list[Any]], **query: Any) -> list[int]:
    """The status that an Actor gets for each of these requests."""
    run = await call.wait(await _start(call, "look", json={"do": do}, **query))
    assert run["status"] == "SUCCEEDED", (await call("GET", f"logs/{run['id']}")).body
    items = (await call("GET", f"datasets/{run['defaultDatasetId']}/items")).json()
    return [item["status"] for item in items]


async def test_run_with_limited_permissions_reaches_only_its_own(
    tmp_path: Path, envs_dir: Path
) -> None:
    """Other runs, their inputs and logs, tasks, lists, limits and named storages are refused."""
    actors = write_actor(tmp_path / "actors", "look", LOOK)
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        other = await call.finish({"items": 1})
        named = (await call("POST", "key-value-stores", name="owners")).data
        refused: list[list[Any]] = [
            ["GET", "actor-runs", None],
            ["GET", f"key-value-stores/{other['defaultKeyValueStoreId']}/records/INPUT", None],
            ["GET", f"actor-runs/{other['id']}/key-value-store/records/INPUT", None],
            ["GET", f"actor-runs/{other['id']}/log", None],
            ["POST", f"actor-runs/{other['id']}/abort", None],
            ["GET", f"datasets/{other['defaultDatasetId']}/items", None],
            ["GET", "datasets?unnamed=1", None],
            ["GET", "key-value-stores/local~owners", None],
            ["POST", "key-value-stores?name=owners", None],
            ["DELETE", f"key-value-stores/{named['id']}", None],
            ["GET", "actor-tasks", None],
            ["GET", "users/me/limits", None],
            ["GET", "actors/~look/runs/last/key-value-store/records/INPUT", None],
            [
                "POST",
                "actors/orchestrator~simulated/runs?forcePermissionLevel=FULL_PERMISSIONS",
                {},
            ],
            ["POST", "webhooks", {"eventTypes": ["ACTOR.RUN.SUCCEEDED"], "requestUrl": "http://x"}],
        ]
        assert await _statuses_seen(call, refused) == [403] * len(refused)
        full = await _statuses_seen(call, refused[:3], forcePermissionLevel="FULL_PERMISSIONS")
        assert full == [200] * 3


async def test_run_with_limited_permissions_does_its_work(tmp_path: Path, envs_dir: Path) -> None:
    """It uses storages that it makes and that its input names, and starts other Actors."""
    actors = write_actor(tmp_path / "actors", "look", LOOK)
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        await call("POST", "datasets", name="given")
        allowed: list[list[Any]] = [
            ["GET", "users/me", None],
            ["POST", "datasets?name=mine", None],
            ["POST", "datasets/~mine/items", {"a": 1}],
            ["GET", "datasets/~given/items", "given"],
            ["POST", f"{SIMULATED}/runs", {}],
            ["GET", SIMULATED, None],
        ]
        assert await _statuses_seen(call, allowed) == [200] * len(allowed)
        again: list[list[Any]] = [
            ["POST", "datasets?name=mine", None],
            ["GET", "datasets/~mine/items", None],
        ]
        assert await _statuses_seen(call, again) == [200, 200]


SNOOP = """
    import socket
    found = {}
    for pid in os.listdir("/proc"):
        for name in ("environ", "cmdline"):
            try:
                found[pid + " " + name] = open(f"/proc/{pid}/{name}", "rb").read().decode("latin-1")
            except OSError:
                pass
    for folder, _, names in os.walk(json.loads(api("GET", STORE + "/records/INPUT"))["data"]):
        for name in names:
            place = os.path.join(folder, name)
            try:
                found[place] = open(place, "rb").read().decode("latin-1")
            except OSError:
                pass
    for line in open("/proc/net/unix"):
        name = line.split()[-1]
        if name.startswith("@orchestrator-platform-"):
            # Other platforms on this machine may be closing.
            try:
                with socket.socket(socket.AF_UNIX) as asking:
                    asking.connect("\\0" + name[1:])
                    found[name] = asking.recv(4096).decode()
            except OSError:
                pass
    push([{"place": place, "text": text} for place, text in found.items()])
"""
SERVE = """
import sys
from orchestrator.cli.main import main
main(["platform", "serve", "--actors", sys.argv[1], "--data", sys.argv[2], "--token", sys.argv[3]])
"""


def test_owners_tokens_are_not_where_an_actor_can_read_them(tmp_path: Path, envs_dir: Path) -> None:
    """Not in a file, a variable or an argument of a process, and not by the socket."""
    actors, data = write_actor(tmp_path / "actors", "snoop", SNOOP), tmp_path / "data"
    token, account = f"own-{secrets.token_hex(8)}", f"real-{secrets.token_hex(8)}"
    environment = {**os.environ, "APIFY_TOKEN": account, "XDG_CACHE_HOME": str(envs_dir)}
    words = [sys.executable, "-c", SERVE, str(actors), str(data), token]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) as served:
        try:
            assert served.stdout is not None
            url = json.loads(served.stdout.readline())["url"]
            assert read_address(data) == (url, SecretStr(token))
            body = json.dumps({"data": str(data)}).encode()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            place = f"{url}/v2/actors/~snoop/run-sync-get-dataset-items"
            asked = urllib.request.Request(place, body, headers)  # noqa: S310 - on loopback
            with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - on loopback
                items = json.load(answer)
        finally:
            served.terminate()
    assert {f"{served.pid} environ", f"{served.pid} cmdline"} <= {item["place"] for item in items}
    assert any(item["place"].startswith("@orchestrator-platform-") for item in items)
    assert not [item["place"] for item in items if token in item["text"] or account in item["text"]]
