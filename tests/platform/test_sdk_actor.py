"""
A normal Apify Actor with the official SDK, as a real process. Needs the network once, at set-up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.platform import PlatformOptions
from orchestrator.platform.actors import load_actors
from orchestrator.platform.environments import Environments
from tests.platform.calling import Caller, calling

ACTORS = Path(__file__).parent.parent.parent / "jobs" / "actors"
NAME = "package-facts"


@pytest.fixture
def _built_actor(tmp_path: Path) -> None:
    """
    Skip where the Actor's environment was not built.
    """
    if not ACTORS.is_dir():
        pytest.skip("there are no sample Actors here")
    environments = Environments(PlatformOptions(data_dir=tmp_path).environments)
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


@pytest.mark.usefixtures("_built_actor")
async def test_sdk_actor_heeds_a_graceful_abort(tmp_path: Path) -> None:
    """A graceful abort reaches the SDK, whatever it is doing, and ends the run as ABORTED."""
    async with calling(tmp_path, actors_dirs=(ACTORS,)) as call:
        reply = await call("POST", f"actors/~{NAME}/runs", json={"distribution": "crawlee"})
        await call("POST", f"actor-runs/{reply.data['id']}/abort", gracefully=1)
        assert (await call.wait(reply.data))["status"] in ("ABORTED", "SUCCEEDED")
