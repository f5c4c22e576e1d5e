"""Reading, listing, changing and ending runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.emulator.caller import SIMULATED, Caller, calling
from tests.emulator.sample_actors import write_actor


async def test_get_waits_for_the_end_of_the_run(tmp_path: Path) -> None:
    """A waiting request is answered as soon as the run ends."""
    async with calling(tmp_path) as call:
        run = await call.start({"duration_secs": 0.05, "cost_usd": 0.25, "status_message": "done"})
        ended = await call.wait(run)
        assert ended["status"] == "SUCCEEDED"
        assert ended["exitCode"] == 0
        assert ended["usageTotalUsd"] == 0.25
        assert ended["statusMessage"] == "done"
        assert ended["finishedAt"] >= ended["startedAt"]


async def test_get_answers_an_active_run_when_the_wait_is_over(tmp_path: Path) -> None:
    """When the wait ends first, the answer is the active run."""
    async with calling(tmp_path) as call:
        run = await call.start({"duration_secs": 60})
        reply = await call("GET", f"actor-runs/{run['id']}", waitForFinish=0.02)
        assert reply.data["status"] == "RUNNING"


async def test_get_hides_the_cost_from_a_caller_without_token(tmp_path: Path) -> None:
    """Everyone who knows its id can read a run, but not its cost; a wrong token is refused."""
    async with calling(tmp_path) as call:
        run = await call.finish()
        path = f"{call.emulator.url}/v2/actor-runs/{run['id']}"
        async with call.session.get(path, headers={"Authorization": ""}) as answer:
            assert answer.status == 200
            assert "usageTotalUsd" not in (await answer.json())["data"]
        async with call.session.get(path, headers={"Authorization": "Bearer wrong"}) as answer:
            assert answer.status == 401


@pytest.mark.parametrize(
    ("outcome", "exit_code"),
    [("SUCCEEDED", 0), ("FAILED", 1), ("TIMED-OUT", None), ("ABORTED", None)],
)
async def test_run_ends_as_its_input_says(
    tmp_path: Path, outcome: str, exit_code: int | None
) -> None:
    """A simulated run has the outcome of its input."""
    async with calling(tmp_path) as call:
        run = await call.finish({"outcome": outcome})
        assert (run["status"], run["exitCode"]) == (outcome, exit_code)


async def test_run_times_out_after_its_timeout(tmp_path: Path) -> None:
    """A run that takes longer than its timeout ends as TIMED-OUT with its items so far."""
    async with calling(tmp_path) as call:
        run = await call.finish({"duration_secs": 100, "items": 10}, timeout=1)
        assert run["status"] == "TIMED-OUT"
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items", format="jsonl")
        assert items.lines == []


async def test_run_stays_ready_until_its_time(tmp_path: Path) -> None:
    """A run can wait as READY before it runs."""
    async with calling(tmp_path) as call:
        run = await call.start({"ready_secs": 0.1})
        assert run["status"] == "READY"
        assert (await call.wait(run))["status"] == "SUCCEEDED"


async def test_first_attempts_fail_and_a_later_one_succeeds(tmp_path: Path) -> None:
    """The same input fails as often as it says, counted over new runs and resurrections."""
    async with calling(tmp_path) as call:
        script = {"fail_attempts": 2, "duration_secs": 0}
        first = await call.finish(script)
        second = await call.finish(script)
        assert [first["status"], second["status"]] == ["FAILED", "FAILED"]
        await call("POST", f"actor-runs/{second['id']}/resurrect")
        assert (await call.wait(second))["status"] == "SUCCEEDED"


async def test_run_restarts_on_error_with_restart_on_error(tmp_path: Path) -> None:
    """A failed run is restarted with the same id."""
    async with calling(tmp_path) as call:
        run = await call.finish({"fail_attempts": 1, "duration_secs": 0}, restartOnError=True)
        assert (run["status"], run["stats"]["restartCount"]) == ("SUCCEEDED", 1)


async def test_abort_ends_an_active_run(tmp_path: Path) -> None:
    """An aborted run is ABORTING, then ABORTED."""
    async with calling(tmp_path) as call:
        run = await call.start({"duration_secs": 60})
        reply = await call("POST", f"actor-runs/{run['id']}/abort")
        assert reply.data["status"] == "ABORTING"
        assert (await call.wait(run))["status"] == "ABORTED"


async def test_abort_does_not_change_an_ended_run(tmp_path: Path) -> None:
    """The abort of a run that has ended changes nothing and is not refused."""
    async with calling(tmp_path) as call:
        run = await call.finish()
        reply = await call("POST", f"actor-runs/{run['id']}/abort", gracefully=1)
        assert (reply.status, reply.data["status"]) == (200, "SUCCEEDED")


async def test_graceful_abort_gives_the_run_time(tmp_path: Path) -> None:
    """A graceful abort gives the run the time that its input names."""
    async with calling(tmp_path) as call:
        run = await call.start({"duration_secs": 60, "abort_secs": 0.1})
        await call("POST", f"actor-runs/{run['id']}/abort", gracefully=True)
        going = await call("GET", f"actor-runs/{run['id']}", waitForFinish=0.01)
        assert going.data["status"] == "ABORTING"
        assert (await call.wait(run))["status"] == "ABORTED"


async def test_resurrected_run_keeps_its_storages(tmp_path: Path) -> None:
    """A resurrected run keeps its id and storages, and takes the given options."""
    async with calling(tmp_path) as call:
        run = await call.finish({"outcome": "FAILED"})
        back = (await call("POST", f"actor-runs/{run['id']}/resurrect", timeout=77)).data
        assert back["id"] == run["id"]
        assert back["defaultDatasetId"] == run["defaultDatasetId"]
        assert back["stats"]["resurrectCount"] == 1
        assert back["options"]["timeoutSecs"] == 77
        assert back["finishedAt"] is None


async def test_resurrect_refuses_an_active_run_and_a_full_account(tmp_path: Path) -> None:
    """Only an ended run can be resurrected, and only within the account's limits."""
    async with calling(tmp_path, max_runs=1) as call:
        ended = await call.finish()
        going = await call.start({"duration_secs": 60})
        refused = await call("POST", f"actor-runs/{going['id']}/resurrect")
        assert refused.error == (400, "invalid-input")
        full = await call("POST", f"actor-runs/{ended['id']}/resurrect")
        assert full.error == (402, "concurrent-runs-limit-exceeded")


async def test_status_message_is_set_by_put(tmp_path: Path) -> None:
    """The status message is the last one that the Actor has set."""
    async with calling(tmp_path) as call:
        run = await call.start({"duration_secs": 60})
        reply = await call(
            "PUT",
            f"actor-runs/{run['id']}",
            json={"runId": run["id"], "statusMessage": "half", "isStatusMessageTerminal": True},
        )
        assert reply.data["statusMessage"] == "half"
        assert reply.data["isStatusMessageTerminal"] is True


async def test_charge_counts_a_repeated_key_once(tmp_path: Path) -> None:
    """Charged events are counted; the same idempotency key counts once."""
    price: dict[str, Any] = {"pricingModel": "PAY_PER_EVENT"}
    price["pricingPerEvent"] = {"actorChargeEvents": {"page": {"eventPriceUsd": 0.1}}}
    actors = write_actor(tmp_path / "a", "shop", "", simulated=True, pricingInfos=[price])
    async with calling(tmp_path / "d", actors_dirs=(actors,)) as call:
        started = await call("POST", "actors/local~shop/runs", json={"duration_secs": 60})
        run = started.data
        for key in ("a", "a", "b"):
            reply = await call(
                "POST",
                f"actor-runs/{run['id']}/charge",
                json={"eventName": "page", "count": 2},
                headers={"idempotency-key": key},
            )
            assert reply.status == 201
        counted = (await call("GET", f"actor-runs/{run['id']}")).data["chargedEventCounts"]
        assert counted == {"page": 4}


async def test_only_an_ended_run_can_be_deleted(tmp_path: Path) -> None:
    """A run that has ended can be deleted, with its storages."""
    async with calling(tmp_path) as call:
        run = await call.start({"duration_secs": 60})
        refused = await call("DELETE", f"actor-runs/{run['id']}")
        assert refused.error == (400, "cannot-remove-running-run")
        await call("POST", f"actor-runs/{run['id']}/abort")
        await call.wait(run)
        assert (await call("DELETE", f"actor-runs/{run['id']}")).status == 204
        assert (await call("GET", f"actor-runs/{run['id']}")).status == 404
        assert (await call("GET", f"datasets/{run['defaultDatasetId']}")).status == 404


async def _ids(call: Caller, path: str, **query: Any) -> list[str]:
    return [run["id"] for run in (await call("GET", path, **query)).data["items"]]


async def test_lists_are_in_order_of_start_and_in_pages(tmp_path: Path) -> None:
    """Runs are listed oldest first, or newest first, page by page."""
    async with calling(tmp_path) as call:
        runs = [(await call.finish({"duration_secs": 0}))["id"] for _ in range(5)]
        assert await _ids(call, "actor-runs") == runs
        assert await _ids(call, f"{SIMULATED}/runs", desc=1, limit=2) == runs[:2:-1]
        assert await _ids(call, "actor-runs", offset=3) == runs[3:]
        page = (await call("GET", "actor-runs", limit=5000)).data
        assert (page["total"], page["count"], page["limit"]) == (5, 5, 1000)


async def test_lists_filter_by_status_and_time(tmp_path: Path) -> None:
    """Lists can be limited by status and by two moments, which are included."""
    async with calling(tmp_path) as call:
        failed = await call.finish({"outcome": "FAILED", "duration_secs": 0})
        await anyio.sleep(0.002)
        good = await call.finish({"duration_secs": 0})
        assert await _ids(call, "actor-runs", status="FAILED,TIMED-OUT") == [failed["id"]]
        assert await _ids(call, "actor-runs", startedAfter=good["startedAt"]) == [good["id"]]
        assert await _ids(call, "actor-runs", startedBefore=failed["startedAt"]) == [failed["id"]]
        wrong = await call("GET", "actor-runs", startedAfter="yesterday")
        assert wrong.error == (400, "invalid-input")


async def test_lists_show_the_user_agent_by_default(tmp_path: Path) -> None:
    """An option decides whether lists show the user agent of a start."""
    for shows in (True, False):
        async with calling(tmp_path / str(shows), list_user_agent=shows) as call:
            await call.start()
            (run,) = (await call("GET", "actor-runs")).data["items"]
            assert ("userAgent" in run["meta"]) is shows


async def test_last_run_is_found_by_status(tmp_path: Path) -> None:
    """The last run, or the last one with a status, has its own endpoints."""
    async with calling(tmp_path) as call:
        good = await call.finish({"items": 1})
        await call.finish({"outcome": "FAILED"})
        last = await call("GET", f"{SIMULATED}/runs/last", status="SUCCEEDED")
        assert last.data["id"] == good["id"]
        items = await call("GET", f"{SIMULATED}/runs/last/dataset/items", status="SUCCEEDED")
        assert items.json() == [{"index": 0}]
        none = await call("GET", f"{SIMULATED}/runs/last", status="ABORTED")
        assert none.error == (404, "record-not-found")


async def test_log_is_plain_text_with_timestamps(tmp_path: Path) -> None:
    """Two endpoints give a run's log."""
    async with calling(tmp_path) as call:
        run = await call.finish({"log_lines": ["hello"]})
        one = await call("GET", f"actor-runs/{run['id']}/log")
        two = await call("GET", f"logs/{run['id']}", stream=1)
        assert one.body == two.body
        assert one.headers["Content-Type"].startswith("text/plain")
        stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
        assert re.search(rf"^{stamp} hello$", one.body.decode(), re.MULTILINE)


async def test_resurrected_simulation_continues_where_it_stopped(tmp_path: Path) -> None:
    """Its earlier items stay, and its costs add up."""
    async with calling(tmp_path) as call:
        script = {"duration_secs": 0.01, "items": 10, "cost_usd": 0.5, "fail_attempts": 1}
        run = await call.finish(script)
        await call("POST", f"actor-runs/{run['id']}/resurrect")
        ended = await call.wait(run)
        assert (ended["status"], ended["usageTotalUsd"]) == ("SUCCEEDED", 1.0)
        assert (await call("GET", f"datasets/{run['defaultDatasetId']}")).data["itemCount"] == 10


async def test_cost_stays_below_its_cap(tmp_path: Path) -> None:
    """A run never costs more than maxTotalChargeUsd."""
    async with calling(tmp_path) as call:
        run = await call.finish({"cost_usd": 9.0}, maxTotalChargeUsd=0.25)
        assert run["usageTotalUsd"] == 0.25


async def test_log_of_a_simulated_run_is_followed_until_its_end(tmp_path: Path) -> None:
    """A client that follows the log gets its last line, and no answer before the end."""
    async with calling(tmp_path) as call:
        run = await call.start({"duration_secs": 0.3, "log_lines": 2})
        log = (await call("GET", f"logs/{run['id']}", stream=1)).body.decode()
        assert "Line 2\n" in log
        assert log.endswith("Simulated run ended: SUCCEEDED.\n")
        assert log.count("Simulated run started") == 1
