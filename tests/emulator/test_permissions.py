"""What the token of a run may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.emulator.caller import SIMULATED, Caller, calling
from tests.emulator.sample_actors import write_actor


async def _start(call: Caller, name: str, *, json: Any = None, **query: Any) -> dict[str, Any]:
    reply = await call("POST", f"actors/~{name}/runs", json=json, **query)
    assert reply.status == 201, reply.body
    run: dict[str, Any] = reply.data
    return run


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


async def _statuses_of(call: Caller, do: list[list[Any]], **query: Any) -> list[int]:
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
        assert await _statuses_of(call, refused) == [403] * len(refused)
        full = await _statuses_of(call, refused[:3], forcePermissionLevel="FULL_PERMISSIONS")
        assert full == [200] * 3


async def test_run_with_limited_permissions_uses_its_own(tmp_path: Path, envs_dir: Path) -> None:
    """It uses the storages that it creates and that its input names, and starts other Actors."""
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
        assert await _statuses_of(call, allowed) == [200] * len(allowed)
        again: list[list[Any]] = [
            ["POST", "datasets?name=mine", None],
            ["GET", "datasets/~mine/items", None],
        ]
        assert await _statuses_of(call, again) == [200, 200]
