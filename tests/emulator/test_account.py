"""The account, its Actors and their builds."""

from __future__ import annotations

from pathlib import Path

from tests.emulator.caller import SIMULATED, calling


async def test_account_shows_its_limits_in_gigabytes(tmp_path: Path) -> None:
    """The account's limits are those of the options."""
    async with calling(tmp_path, max_memory_mbytes=8192, max_runs=5) as call:
        limits = (await call("GET", "users/me/limits")).data["limits"]
        assert (limits["maxActorMemoryGbytes"], limits["maxConcurrentActorJobs"]) == (8, 5)
        assert (await call("GET", "users/me")).data["username"] == "local"
        assert (await call("GET", "users/me/usage/monthly")).status == 200
        assert (await call("GET", "users/local")).data["username"] == "local"


async def test_actors_and_builds_are_shown(tmp_path: Path) -> None:
    """Actors can be listed and read, and so can their builds."""
    async with calling(tmp_path) as call:
        (listed,) = (await call("GET", "actors", my=1)).data["items"]
        actor = (await call("GET", f"acts/{listed['id']}")).data
        assert f"{actor['username']}/{actor['name']}" == "orchestrator/simulated"
        build = (await call("GET", f"{SIMULATED}/builds/default")).data
        assert (await call("GET", f"actor-builds/{build['id']}")).data == build
        assert (await call("GET", "actor-builds/none")).error == (404, "record-not-found")
