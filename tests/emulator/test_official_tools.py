"""What Apify's clients, SDKs and its CLI read beside runs and items."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.emulator.caller import SIMULATED, Caller, calling, official_client
from tests.emulator.sample_actors import write_actor

# As a browser does, the busy process leaves the session of the Actor.
BUSY = """
import subprocess
code = "import time; held = b'x' * 60_000_000; until = time.monotonic() + 2.5"
code += "\\nwhile time.monotonic() < until: sum(range(100_000)); time.sleep(0.002)"
subprocess.run([sys.executable, "-c", code], start_new_session=True, check=True)
"""


async def _public(call: Caller, url: str) -> int:
    """Returns the status of a request without a token."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


async def test_run_statistics_are_those_of_the_process(tmp_path: Path) -> None:
    """Processor time and memory are those of all processes of a run; none is used at its end."""
    actors = write_actor(tmp_path / "actors", "busy", BUSY)
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        run = await call.wait((await call("POST", "actors/local~busy/runs")).data)
        stats = run["stats"]
        assert 10 < stats["cpuAvgUsage"] <= stats["cpuMaxUsage"] <= 200
        assert stats["memMaxBytes"] > 60_000_000
        assert stats["memCurrentBytes"] == 0


async def test_simulated_run_has_all_statistics(tmp_path: Path) -> None:
    """No tool stumbles over a field that is missing."""
    async with calling(tmp_path) as call:
        stats = (await call.finish())["stats"]
        assert {"cpuAvgUsage", "cpuMaxUsage", "memAvgBytes", "netRxBytes"} < stats.keys()


@pytest.mark.parametrize("kind", ["datasets", "key-value-stores", "request-queues"])
async def test_lists_of_storages_have_their_statistics(tmp_path: Path, kind: str) -> None:
    """The lists show reads and writes, as the CLI prints them."""
    async with calling(tmp_path) as call:
        made = (await call("POST", kind, name="mine")).data
        content = {
            "datasets": ("POST", "items", [{"a": 1}]),
            "key-value-stores": ("PUT", "records/x", {"a": 1}),
            "request-queues": ("POST", "requests", {"url": "http://a/"}),
        }
        method, path, body = content[kind]
        await call(method, f"{kind}/{made['id']}/{path}", json=body)
        listed = (await call("GET", kind)).data["items"][0]
        assert listed["stats"]["writeCount"] == 1


async def test_builds_are_listed_with_their_logs(tmp_path: Path) -> None:
    """Each Actor has one build, in the lists and under its id, with the log of its environment."""
    actors = write_actor(tmp_path / "actors", "small", "")
    options = {"actors_dirs": (actors,), "envs_dir": tmp_path / "envs"}
    async with calling(tmp_path / "data", **options) as call:
        builds = (await call("GET", "actors/local~small/builds")).data["items"]
        assert [build["status"] for build in builds] == ["SUCCEEDED"]
        everything = (await call("GET", "actor-builds")).data
        assert builds[0]["id"] in [build["id"] for build in everything["items"]]
        log = f"logs/{builds[0]['id']}"
        assert b"is built when the first run starts" in (await call("GET", log)).body
        await call.wait((await call("POST", "actors/local~small/runs")).data)
        assert b"-m venv" in (await call("GET", log)).body
        below = await call("GET", f"actor-builds/{builds[0]['id']}/log")
        assert below.body == (await call("GET", log)).body


async def test_webhook_is_tested_and_listed(tmp_path: Path) -> None:
    """`test` makes a delivery of the type TEST; ad-hoc webhooks are in the list."""
    async with calling(tmp_path) as call:
        run = await call.finish()
        hook = {
            "eventTypes": ["ACTOR.RUN.SUCCEEDED"],
            "requestUrl": "http://127.0.0.1:9/",
            "condition": {"actorRunId": run["id"]},
            "isAdHoc": True,
            "doNotRetry": True,
        }
        made = (await call("POST", "webhooks", json=hook)).data
        reply = await call("POST", f"webhooks/{made['id']}/test")
        assert (reply.status, reply.data["eventType"]) == (201, "TEST")
        assert [one["id"] for one in (await call("GET", "webhooks")).data["items"]] == [made["id"]]
        sent = (await call("GET", f"webhooks/{made['id']}/dispatches")).data["items"]
        assert [one["id"] for one in sent] == [reply.data["id"]]


async def test_signed_urls_open_without_a_token(tmp_path: Path) -> None:
    """URLs that the official client signs, and those in the answers, work; others do not."""
    async with calling(tmp_path) as call:
        client = official_client(call.emulator)
        dataset = (await call("POST", "datasets", name="mine")).data
        store = (await call("POST", "key-value-stores", name="mine")).data
        await call("PUT", f"key-value-stores/{store['id']}/records/a", json={"x": 1})
        urls = [
            dataset["itemsPublicUrl"],
            store["keysPublicUrl"],
            await client.dataset(dataset["id"]).create_items_public_url(limit=5),
            await client.key_value_store(store["id"]).create_keys_public_url(),
            await client.key_value_store(store["id"]).get_record_public_url("a"),
        ]
        keys = (await call("GET", f"key-value-stores/{store['id']}/keys")).data["items"]
        urls.append(keys[0]["recordPublicUrl"])
        for url in urls:
            assert "signature=" in url
            assert await _public(call, url) == 200, url
            assert await _public(call, url[:-3] + "xyz") == 403, url
            assert await _public(call, url.partition("?")[0]) == 401, url
        other = (await call("POST", "datasets", name="other")).data["id"]
        assert await _public(call, urls[0].replace(dataset["id"], other)) == 403


async def test_signature_expires(tmp_path: Path) -> None:
    """A URL that was signed for a time is refused afterwards."""
    async with calling(tmp_path) as call:
        client = official_client(call.emulator)
        dataset = (await call("POST", "datasets", name="mine")).data
        url = await client.dataset(dataset["id"]).create_items_public_url(
            expires_in=timedelta(seconds=30)
        )
        assert await _public(call, url) == 200
        call.emulator.advance(60)
        assert await _public(call, url) == 403


async def test_storage_that_is_open_to_all_needs_no_token(tmp_path: Path) -> None:
    """`generalAccess` decides who can read, also after a restart; nobody can write."""
    async with calling(tmp_path) as call:
        run = await call.finish({"items": 1})
        path = f"datasets/{run['defaultDatasetId']}"
        changed = await call("PUT", path, json={"generalAccess": "ANYONE_WITH_ID_CAN_READ"})
        assert changed.data["generalAccess"] == "ANYONE_WITH_ID_CAN_READ"
    async with calling(tmp_path) as call:
        url = f"{call.emulator.url}/v2/{path}"
        assert await _public(call, f"{url}/items") == 200
        async with aiohttp.ClientSession() as session, session.post(f"{url}/items") as answer:
            assert answer.status == 401
        wrong = await call("PUT", path, json={"generalAccess": "EVERYBODY"})
        assert wrong.error == (400, "invalid-input")


async def test_standby_actor_fails_at_once(tmp_path: Path) -> None:
    """An Actor that would wait for requests for ever ends with the reason."""
    actors = write_actor(tmp_path / "actors", "server", "time.sleep(60)", usesStandbyMode=True)
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        run = await call.wait((await call("POST", "actors/local~server/runs")).data)
        assert run["status"] == "FAILED"
        assert "Standby mode, which the emulator does not have" in run["statusMessage"]


async def test_actor_shows_its_users_and_its_last_run(tmp_path: Path) -> None:
    """The CLI prints how many use an Actor and when it ran last, in lists and for one Actor."""
    async with calling(tmp_path) as call:
        before = (await call("GET", SIMULATED)).data["stats"]
        assert before["totalRuns"] == 0
        run = await call.finish()
        listed = (await call("GET", "actors")).data["items"][0]["stats"]
        one = (await call("GET", SIMULATED)).data["stats"]
        assert listed == one
        assert (one["totalRuns"], one["lastRunStartedAt"]) == (1, run["startedAt"])
        assert one["totalUsers30Days"] == one["totalUsers"] == 1


async def test_unknown_actor_is_nothing_for_official_clients(tmp_path: Path) -> None:
    """Reading an unknown Actor is refused as a missing record, for which clients return nothing."""
    async with calling(tmp_path) as call:
        for path in ("", "/runs", "/builds", "/builds/default", "/webhooks", "/runs/last"):
            reply = await call("GET", f"actors/me~nothing{path}")
            assert reply.error == (404, "record-not-found"), path


@pytest.mark.parametrize("place", ["README.md", ".actor/README.md", "docs/about.md"])
async def test_build_has_the_readme_of_its_actor(tmp_path: Path, place: str) -> None:
    """`apify actors info --readme` prints the README in each place where the platform looks."""
    named = {"readme": "../docs/about.md"} if place.startswith("docs") else {}
    actors = write_actor(tmp_path / "actors", "small", "", **named)
    (tmp_path / "actors" / "small" / place).parent.mkdir(exist_ok=True)
    (tmp_path / "actors" / "small" / place).write_text("# Small")
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        assert (await call("GET", "actors/local~small/builds/default")).data["readme"] == "# Small"


async def test_build_has_the_definition_of_its_actor(tmp_path: Path) -> None:
    """Tools read the limits of memory, the version and the schemas that `actor.json` says."""
    actors = write_actor(
        tmp_path / "actors", "small", "",
        version="0.0.7", minMemoryMbytes=128, maxMemoryMbytes="much",
        environmentVariables={"A": "b"}, storages={"dataset": "./items.json", "x": "./no.json"},
    )  # fmt: skip
    (tmp_path / "actors" / "small" / ".actor" / "items.json").write_text('{"views": {}}')
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        build = (await call("GET", "actors/local~small/builds/default")).data
        found = build["actorDefinition"]
        assert (found["version"], found["minMemoryMbytes"]) == ("0.0.7", 128)
        assert found["environmentVariables"] == {"A": "b"}
        assert found["storages"] == {"dataset": {"views": {}}}
        assert "maxMemoryMbytes" not in found
