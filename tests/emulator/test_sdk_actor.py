"""A normal Apify Actor with the official SDK, as a real process; set-up needs the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from apify_emulator import EmulatorOptions
from apify_emulator.actors.actor_files import load_actors
from apify_emulator.processes.actor_environments import Environments
from tests.emulator.caller import Caller, calling
from tests.emulator.sample_actors import write_actor
from tests.support.command import LONGEST_SECS

ACTORS = Path(__file__).parent.parent.parent / "jobs" / "actors"
NAME = "package-facts"


@pytest.fixture
def _built_actor(tmp_path: Path) -> None:
    """Skips when the Actor's environment is not built."""
    if not ACTORS.is_dir():
        pytest.skip("there are no sample Actors here")
    environments = Environments(EmulatorOptions(data_dir=tmp_path))
    actors = [actor for actor in load_actors((ACTORS,)) if actor.name == NAME]
    if not actors or not environments.is_built(actors[0]):
        pytest.skip("the sample Actor's environment is not built; run the set-up first")


async def _run(call: Caller, given: dict[str, Any], **query: Any) -> dict[str, Any]:
    reply = await call("POST", f"actors/~{NAME}/runs", json=given, **query)
    assert reply.status == 201, reply.body
    return await call.wait(reply.data)


@pytest.mark.usefixtures("_built_actor")
async def test_sdk_actor_runs_unchanged(tmp_path: Path) -> None:
    """The SDK finds its input, pushes items, and the run succeeds."""
    async with calling(tmp_path, actors_dirs=(ACTORS,)) as call:
        run = await _run(call, {"distribution": "apify"})
        log = (await call("GET", f"logs/{run['id']}")).body.decode()
        assert run["status"] == "SUCCEEDED", log
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items", format="jsonl")
        assert len(items.lines) > 10


_LISTENER = """
import asyncio
from apify import Actor, Event

async def main():
    async with Actor:
        heard = asyncio.Event()
        async def aborting(data):
            await Actor.push_data({"heard": "aborting"})
            heard.set()
        async def migrating(data):
            await Actor.push_data({"heard": "migrating"})
            heard.set()
        Actor.on(Event.ABORTING, aborting)
        Actor.on(Event.MIGRATING, migrating)
        await Actor.set_status_message("listening")
        await heard.wait()

asyncio.run(main())
"""


_SHOP = """
import asyncio
import impit
from apify import Actor, Event

async def main():
    async with Actor:
        seen = asyncio.Queue()
        Actor.on(Event.SYSTEM_INFO, seen.put_nowait)
        proxy = await Actor.create_proxy_configuration(groups=["RESIDENTIAL"])
        page = Actor.configuration.api_base_url + "/v2/users/local"
        async with impit.AsyncClient(proxy=await proxy.new_url()) as client:
            answer = await client.get(page)
        charged = await Actor.charge("page", count=2)
        while not (memory := (await seen.get()).memory_info.current_size.bytes):
            pass
        await Actor.push_data({
            "status": answer.status_code, "name": answer.json()["data"]["username"],
            "charged": charged.charged_count, "more": charged.chargeable_within_limit["page"],
            "memory": memory,
        })

asyncio.run(main())
"""


def _listener(folder: Path, code: str = _LISTENER) -> Path:
    """Writes an Actor that waits for events, in the sample Actor's environment."""
    write_actor(folder, "listener", "")
    (folder / "listener" / "main.py").write_text(code)
    requirements = (ACTORS / NAME / "requirements.txt").read_bytes()
    (folder / "listener" / "requirements.txt").write_bytes(requirements)
    return folder


async def _listening(call: Caller) -> dict[str, Any]:
    run: dict[str, Any] = (await call("POST", "actors/~listener/runs")).data
    with anyio.fail_after(LONGEST_SECS):
        while run["statusMessage"] != "listening":
            reply = await call("GET", f"actor-runs/{run['id']}", waitForFinish=0.1)
            run = reply.data
            assert run["finishedAt"] is None, (await call("GET", f"logs/{run['id']}")).body
    return run


async def _heard(call: Caller, run: dict[str, Any]) -> list[str]:
    items = await call("GET", f"datasets/{run['defaultDatasetId']}/items")
    return [item["heard"] for item in items.json()]


@pytest.mark.usefixtures("_built_actor")
async def test_sdk_actor_gets_the_event_of_a_graceful_abort(tmp_path: Path) -> None:
    """The SDK gets the event of the abort and can save its state."""
    actors = _listener(tmp_path / "actors")
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        run = await _listening(call)
        await call("POST", f"actor-runs/{run['id']}/abort", gracefully=1)
        assert (await call.wait(run))["status"] == "ABORTED"
        assert await _heard(call, run) == ["aborting"]


@pytest.mark.usefixtures("_built_actor")
async def test_sdk_actor_gets_the_event_of_a_migration(tmp_path: Path) -> None:
    """When the emulator closes, the SDK gets the event of a migration, and continues later."""
    actors = _listener(tmp_path / "actors")
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        run = await _listening(call)
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        assert await _heard(call, run) == ["migrating"]
        going = (await call("GET", f"actor-runs/{run['id']}")).data
        assert (going["status"], going["stats"]["migrationCount"]) == ("RUNNING", 1)


@pytest.mark.usefixtures("_built_actor")
async def test_sdk_actor_uses_the_proxy_and_charges(tmp_path: Path) -> None:
    """The SDK checks the proxy and uses it, charges within the cap, and reads its memory."""
    actors = _listener(tmp_path / "actors", _SHOP)
    events = {"page": {"eventTitle": "Page", "eventDescription": "A page", "eventPriceUsd": 0.1}}
    (actors / "listener" / ".actor" / "pay_per_event.json").write_bytes(orjson.dumps(events))
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        started = await call("POST", "actors/~listener/runs", maxTotalChargeUsd=0.5)
        run = await call.wait(started.data)
        assert run["status"] == "SUCCEEDED", (await call("GET", f"logs/{run['id']}")).body.decode()
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items")
        item = items.json()[0]
        assert item.pop("memory") > 10_000_000
        assert item == {"status": 200, "name": "local", "charged": 2, "more": 3}
        assert run["usageTotalUsd"] == pytest.approx(0.2)
