"""What a new emulator finds after a clean end, a kill, and an incomplete file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import orjson
import pytest

from apify_emulator import DataFolderInUse, EmulatorOptions, serve_emulator
from tests.emulator.caller import TOKEN, Caller, calling
from tests.emulator.sample_actors import process_lives, write_actor
from tests.support.command import LONGEST_SECS

_SERVER = """
import sys, anyio
from collections.abc import AsyncIterator
from pathlib import Path
from pydantic import SecretStr
from apify_emulator import EmulatorOptions, serve_emulator

async def main():
    options = EmulatorOptions(
        data_dir=Path(sys.argv[1]), actors_dirs=(Path(sys.argv[2]),), envs_dir=Path(sys.argv[3]),
        token=SecretStr(sys.argv[4]))
    async with serve_emulator(options) as emulator:
        print(emulator.url, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


async def _said(call: Caller, run_id: str, message: str) -> dict[str, Any]:
    with anyio.fail_after(LONGEST_SECS):
        while True:
            run: dict[str, Any] = (
                await call("GET", f"actor-runs/{run_id}", waitForFinish=0.05)
            ).data
            if run["statusMessage"] == message:
                return run


async def test_all_data_is_kept_across_a_restart(tmp_path: Path) -> None:
    """Runs, items, records, tasks and named storages are the same after a restart."""
    async with calling(tmp_path) as call:
        run = await call.finish({"items": 3, "output": 7, "cost_usd": 1.5})
        named = (await call("POST", "datasets", name="mine")).data["id"]
        await call("POST", f"datasets/{named}/items", json=[{"a": 1}, {"a": 2}])
        await call("PUT", f"key-value-stores/{run['defaultKeyValueStoreId']}/records/K", body=b"v")
        actor = {"actId": "orchestrator~simulated", "name": "my-task"}
        await call("POST", "actor-tasks", json=actor)
        await call(
            "POST",
            f"request-queues/{run['defaultRequestQueueId']}/requests",
            json={"url": "http://a"},
        )
        before = (await call("GET", f"actor-runs/{run['id']}")).data
    async with calling(tmp_path) as call:
        after = (await call("GET", f"actor-runs/{run['id']}")).data
        # The address of the page has the port of each emulator.
        assert {**after, "consoleUrl": None} == {**before, "consoleUrl": None}
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items", format="jsonl")
        assert len(items.lines) == 3
        assert (await call("GET", "datasets/~mine/items")).json() == [{"a": 1}, {"a": 2}]
        store = f"key-value-stores/{run['defaultKeyValueStoreId']}/records"
        assert (await call("GET", f"{store}/OUTPUT")).json() == 7
        assert (await call("GET", f"{store}/K")).body == b"v"
        assert (await call("GET", "actor-tasks/me~my-task")).status == 200
        head = await call("GET", f"request-queues/{run['defaultRequestQueueId']}/head")
        assert [one["url"] for one in head.data["items"]] == ["http://a"]


async def test_run_that_is_deleted_during_a_change_stays_deleted(tmp_path: Path) -> None:
    """A slow body of `PUT actor-runs/ID` does not bring back the run in the journal."""
    deleted = anyio.Event()

    async def slow_body() -> AsyncIterator[bytes]:
        yield b'{"statusMessage": '
        await deleted.wait()
        yield b'"late"}'

    async with calling(tmp_path) as call:
        path = f"actor-runs/{(await call.finish())['id']}"

        async def change() -> None:
            url = f"{call.emulator.url}/v2/{path}"
            async with call.session.put(url, data=slow_body()) as answer:
                assert answer.status == 404

        async with anyio.create_task_group() as group:
            group.start_soon(change)
            await anyio.sleep(0.2)
            assert (await call("DELETE", path)).status == 204
            deleted.set()
    async with calling(tmp_path) as call:
        assert (await call("GET", path)).status == 404


async def test_active_runs_continue_after_a_restart(tmp_path: Path) -> None:
    """An active run counts a migration, and ends as it would have without the restart."""
    async with calling(tmp_path) as call:
        going = await call.start({"duration_secs": 0.6, "items": 4})
        waiting = await call.start({"ready_secs": 0.6, "duration_secs": 0})
    async with calling(tmp_path) as call:
        ended = await call.wait(going)
        assert (ended["status"], ended["stats"]["migrationCount"]) == ("SUCCEEDED", 1)
        assert (await call.wait(waiting))["stats"]["migrationCount"] == 0
        assert (await call("GET", "users/me/limits")).data["current"]["activeActorJobCount"] == 0


async def test_process_is_started_again_on_its_storages(tmp_path: Path, envs_dir: Path) -> None:
    """A new process of the run finds what the earlier one has written."""
    code = """
        rows = json.loads(api("GET", "actor-runs/" + RUN + "/dataset/items"))
        push({"seen": len(rows)})
        say("up")
        time.sleep(0 if rows else 600)
    """
    actors = write_actor(tmp_path / "actors", "migrant", code)
    options = {"actors_dirs": (actors,), "envs_dir": envs_dir}
    async with calling(tmp_path / "data", **options) as call:
        run = (await call("POST", "actors/~migrant/runs")).data
        await _said(call, run["id"], "up")
    async with calling(tmp_path / "data", **options) as call:
        ended = await call.wait(run)
        assert (ended["status"], ended["stats"]["migrationCount"]) == ("SUCCEEDED", 1)
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items")
        assert items.json() == [{"seen": 0}, {"seen": 1}]


async def test_killed_emulator_loses_nothing_and_its_orphans_are_killed(
    tmp_path: Path, envs_dir: Path
) -> None:
    """After SIGKILL the next emulator continues the runs and kills the orphan."""
    code = """
        push({"pid": os.getpid()})
        say("up")
        time.sleep(600)
    """
    actors = write_actor(tmp_path / "actors", "orphan", code)
    data = tmp_path / "data"
    server = subprocess.Popen(  # noqa: ASYNC220 - a server to kill
        [sys.executable, "-c", _SERVER, str(data), str(actors), str(envs_dir), TOKEN],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        run, done = await anyio.to_thread.run_sync(_use_server, url)
    finally:
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()
    orphan = done["pid"]
    assert process_lives(orphan)
    async with calling(data, actors_dirs=(actors,), envs_dir=envs_dir) as call:
        assert not process_lives(orphan)
        with anyio.fail_after(LONGEST_SECS):
            items: list[dict[str, int]] = []
            while len(items) < 2:
                reply = await call("GET", f"datasets/{run['defaultDatasetId']}/items")
                items = reply.json()
        assert items[1]["pid"] != orphan
        again = (await call("GET", f"actor-runs/{run['id']}")).data
        assert (again["status"], again["stats"]["migrationCount"]) == ("RUNNING", 1)


def _use_server(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    def call(method: str, path: str) -> Any:
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{url}/v2/{path}", method=method, headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            return orjson.loads(answer.read())

    run = call("POST", "actors/~orphan/runs")["data"]
    while call("GET", f"actor-runs/{run['id']}?waitForFinish=0.1")["data"]["statusMessage"] != "up":
        pass
    return run, call("GET", f"datasets/{run['defaultDatasetId']}/items")[0]


async def test_second_emulator_on_the_same_data_is_refused(tmp_path: Path) -> None:
    """Only one emulator uses a data folder."""
    async with calling(tmp_path):
        with pytest.raises(DataFolderInUse, match="another process runs an emulator"):
            async with serve_emulator(EmulatorOptions(data_dir=tmp_path)):
                pass


@pytest.mark.skipif(sys.platform != "linux", reason="the name is one of Linux")
async def test_data_folder_that_was_deleted_under_an_emulator_is_in_use(tmp_path: Path) -> None:
    """The first emulator still has the name of the folder, under which commands ask for it."""
    options = EmulatorOptions(data_dir=tmp_path / "data")
    async with serve_emulator(options):
        shutil.rmtree(options.data_dir)
        with pytest.raises(DataFolderInUse, match="was deleted"):
            async with serve_emulator(options):
                pass


@pytest.mark.parametrize("tail", [b'["run","x",{"id', b'["ru', b"\xff\xfe\n"])
async def test_incomplete_journal_loses_only_its_last_line(tmp_path: Path, tail: bytes) -> None:
    """A kill in the middle of a write loses only that change."""
    async with calling(tmp_path) as call:
        run = await call.finish()
    with (tmp_path / "journal.jsonl").open("ab") as journal:
        journal.write(tail)
    for _ in range(2):
        async with calling(tmp_path) as call:
            runs = (await call("GET", "actor-runs")).data["items"]
            assert [one["id"] for one in runs] == [run["id"]]


async def test_incomplete_item_is_cut_off(tmp_path: Path) -> None:
    """An incomplete item at the end of a dataset is dropped; the next one is complete."""
    async with calling(tmp_path) as call:
        dataset = (await call("POST", "datasets")).data["id"]
        await call("POST", f"datasets/{dataset}/items", json={"a": 1})
    with (tmp_path / "datasets" / f"{dataset}.jsonl").open("ab") as items:
        items.write(b'{"a": ')
    async with calling(tmp_path) as call:
        await call("POST", f"datasets/{dataset}/items", json={"a": 2})
        assert (await call("GET", f"datasets/{dataset}/items")).json() == [{"a": 1}, {"a": 2}]
