"""The emulator's own endpoints: reset, faults, limits, clock, added Actors."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.emulator.caller import Caller, Reply, calling
from tests.emulator.sample_actors import write_actor


async def _control(call: Caller, name: str, body: Any, **headers: str) -> Reply:
    url = f"{call.emulator.url}/__emulator/{name}"
    async with call.session.post(url, data=orjson.dumps(body), headers=headers) as answer:
        return Reply(answer.status, answer.headers, await answer.read())


async def test_clock_ends_long_runs_at_once_and_at_their_own_times(tmp_path: Path) -> None:
    """An hour passes at once, and each run ends at its own time."""
    async with calling(tmp_path) as call:
        short = await call.start({"duration_secs": 60, "ready_secs": 30})
        long = await call.start({"duration_secs": 1000})
        assert (await _control(call, "clock", {"advanceSecs": 300})).status == 200
        ended = (await call("GET", f"actor-runs/{short['id']}")).data
        assert ended["status"] == "SUCCEEDED"
        assert 60 <= ended["stats"]["runTimeSecs"] < 61
        assert (await call("GET", f"actor-runs/{long['id']}")).data["status"] == "RUNNING"
        again = await call.finish({"duration_secs": 0})
        assert again["startedAt"] > ended["finishedAt"]


async def test_reset_gives_an_empty_account(tmp_path: Path) -> None:
    """Runs, storages, tasks, webhooks, faults, limits, the clock and added Actors are removed."""
    actors = write_actor(tmp_path / "actors", "slow", "time.sleep(60)")
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        await call("POST", "actors/local~slow/runs")
        await call.start({"duration_secs": 60})
        await call("POST", "datasets", name="mine")
        task = {"actId": "orchestrator/simulated", "name": "nightly"}
        assert (await call("POST", "actor-tasks", json=task)).status == 201
        await _control(call, "limits", {"maxRuns": 2})
        await _control(call, "clock", {"advanceSecs": 5000})
        await _control(call, "actors", {"name": "a/b", "items": [{"x": 1}]})
        await _control(call, "faults", {"rules": [{"path": "/v2/", "do": "rate-limited"}]})
        assert (await call("GET", "users/me")).status == 429
        state = (await _control(call, "reset", {})).data
        assert (state["runs"], state["aheadSecs"]) == (0, 0.0)
        for path in ("actor-runs", "datasets", "key-value-stores", "actor-tasks", "webhooks"):
            reply = await call("GET", path, unnamed=True)
            assert reply.data["total"] == 0, path
        assert (await call("GET", "actors/a~b")).status == 404
        limits = (await call("GET", "users/me/limits")).data["limits"]
        assert limits["maxConcurrentActorJobs"] == 256
    async with calling(tmp_path / "data") as call:
        assert (await call("GET", "actor-runs")).data["total"] == 0


async def test_runs_after_a_reset_start_at_the_time_of_the_wall_clock(tmp_path: Path) -> None:
    """A test that moved the clock leaves no run of the next test in the future."""
    async with calling(tmp_path) as call:
        await _control(call, "clock", {"advanceSecs": 86_400})
        await call.finish()
        state = (await _control(call, "reset", {})).data
        run = await call.finish({"duration_secs": 0})
        ahead = datetime.fromisoformat(run["startedAt"]) - datetime.fromisoformat(state["now"])
        assert ahead < timedelta(hours=1)


async def test_limits_change_while_it_runs(tmp_path: Path) -> None:
    """A full account refuses starts as Apify does, with the type of each limit."""
    async with calling(tmp_path) as call:
        for limits, error in (
            ({"maxRuns": 0}, (402, "concurrent-runs-limit-exceeded")),
            ({"maxRuns": 9, "maxMemoryMbytes": 1000}, (402, "actor-memory-limit-exceeded")),
            (
                {"maxMemoryMbytes": 9000, "maxMonthlyUsageUsd": 5, "monthlyUsageUsd": 5},
                (403, "platform-feature-disabled"),
            ),
        ):
            assert (await _control(call, "limits", limits)).status == 200
            reply = await call("POST", "actors/orchestrator~simulated/runs", json={})
            assert reply.error == error
        assert (await call("GET", "users/me/limits")).data["current"]["monthlyUsageUsd"] == 5


async def test_owner_changes_the_limit_of_the_usage_over_the_api(tmp_path: Path) -> None:
    """The usage of finished runs counts, and starts are refused when it reaches the limit."""
    async with calling(tmp_path) as call:
        assert (await call("PUT", "users/me/limits", json={"maxMonthlyUsageUsd": 1})).status == 201
        await call.finish({"duration_secs": 0, "cost_usd": 0.6})
        await call.finish({"duration_secs": 0, "cost_usd": 0.6})
        reply = await call("POST", "actors/orchestrator~simulated/runs", json={})
        assert reply.error == (403, "platform-feature-disabled")
        refused = await call("PUT", "users/me/limits", json={"maxMonthlyUsageUsd": "much"})
        assert refused.error == (400, "invalid-input")


async def test_control_is_for_the_owner_only(tmp_path: Path) -> None:
    """Neither a caller without a token nor an Actor can reset the account."""
    code = """
    try:
        request = urllib.request.Request(
            os.environ["APIFY_API_BASE_URL"] + "/__emulator/reset", method="POST", data=b"{}",
            headers={"Authorization": "Bearer " + os.environ["APIFY_TOKEN"]})
        urllib.request.urlopen(request)
    except urllib.error.HTTPError as refused:
        push({"status": refused.code})
    """
    actors = write_actor(tmp_path / "actors", "curious", code)
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        start = await call(
            "POST", "actors/local~curious/runs", forcePermissionLevel="FULL_PERMISSIONS"
        )
        run = await call.wait(start.data)
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items", format="jsonl")
        assert items.lines == [{"status": 404}]
        reply = await _control(call, "reset", {}, Authorization="Bearer wrong")
        assert reply.status == 401
        assert (await call("POST", "__emulator/reset")).status == 404


async def test_fault_below_a_cap_leaves_an_invalid_cap_to_the_api(tmp_path: Path) -> None:
    """A cap that is no number is refused as without faults."""
    async with calling(tmp_path) as call:
        rule = {"do": "error-before", "cap_below": 1}
        await _control(call, "faults", {"rules": [rule]})
        reply = await call("POST", "actors/orchestrator~simulated/runs", maxTotalChargeUsd="much")
        assert reply.status == 400


async def test_state_counts_the_faults_of_each_kind(tmp_path: Path) -> None:
    """A test can say how much has gone wrong, also where two rules have one kind."""
    async with calling(tmp_path) as call:
        rules = [
            {"do": "error-before", "times": 1},
            {"do": "error-before", "times": 1},
            {"do": "rate-limited", "path": "/nothing$"},
        ]
        await _control(call, "faults", {"rules": rules})
        for _ in range(3):
            await call("GET", "users/me")
        state = await _control(call, "clock", {"advanceSecs": 0})
        assert state.data["faultsOfKinds"] == {"error-before": 2, "rate-limited": 0}


@pytest.mark.parametrize(
    "mistake",
    [
        {"schema": 5},
        {"pricingInfos": 5},
        {"status": "GONE"},
        {"durationSecs": "long"},
        {"exitCode": "1"},
        {"statusMessage": 5},
    ],
)
async def test_actor_that_cannot_be_read_is_not_added(
    tmp_path: Path, mistake: dict[str, Any]
) -> None:
    """A mistake is refused, and leaves no folder that would break later requests."""
    async with calling(tmp_path) as call:
        given = {"name": "a/b", "items": [{"x": 1}], **mistake}
        assert (await _control(call, "actors", given)).status == 400
        assert (await call("GET", "actors/a~b")).error[0] == 404
        assert (await call("POST", "actors/nosuch/runs")).error[0] == 404


@pytest.mark.parametrize(
    "rules", [{"pattern": "("}, {"minLength": "x"}, {"enum": 5}, {"type": {"a": 1}}]
)
async def test_schema_with_a_mistake_never_makes_the_emulator_fail(
    tmp_path: Path, rules: dict[str, Any]
) -> None:
    """A start is accepted or refused under all rules of a field."""
    async with calling(tmp_path) as call:
        schema = {"properties": {"a": rules}, "required": ["a"]}
        given = {"name": "a/b", "items": [{"x": 1}], "schema": schema}
        await _control(call, "actors", given)
        assert (await call("POST", "actors/a~b/runs", json={"a": "text"})).status < 500


async def test_control_names_the_mistake(tmp_path: Path) -> None:
    """A field that does not exist, or a fault that is not valid, is refused by its name."""
    async with calling(tmp_path) as call:
        reply = await _control(call, "limits", {"maxRun": 1})
        assert reply.status == 400
        assert "Unknown field maxRun; known are maxMemoryMbytes" in reply.body.decode()
        reply = await _control(call, "faults", {"rules": [{"do": "explode"}]})
        assert "rules.0.do" in reply.body.decode()
        reply = await _control(call, "actors", {"name": "../x"})
        assert "expected an Actor like" in reply.body.decode()
        reply = await _control(call, "actors", {"name": "Orchestrator/Simulated"})
        assert (reply.status, "is built in" in reply.body.decode()) == (400, True)


async def test_stand_in_of_a_name_in_other_letters_is_the_same(tmp_path: Path) -> None:
    """The API finds an Actor in any case, so another spelling gives it other items."""
    async with calling(tmp_path) as call:
        for name, number in (("a/b", 1), ("A/B", 2)):
            added = await _control(call, "actors", {"name": name, "items": [{"n": number}]})
            assert (added.status, added.data["name"]) == (201, "b")
        run = await call.wait((await call("POST", "actors/a~b/runs")).data)
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items", format="jsonl")
        assert items.lines == [{"n": 2}]
