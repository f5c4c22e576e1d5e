"""Which requests a queue lists, in which order, and what it keeps of them."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest

from apify_emulator.storages.request_queue import RequestQueue
from tests.emulator.caller import Caller, calling


async def _filled(call: Caller, count: int) -> str:
    queue: str = (await call("POST", "request-queues", name="filled")).data["id"]
    for number in range(count):
        request = {"url": f"http://{number}", "userData": {"n": number}}
        await call("POST", f"request-queues/{queue}/requests", json=request)
    return f"request-queues/{queue}"


async def _numbers(call: Caller, path: str, **query: Any) -> list[str]:
    listed = (await call("GET", path, **query)).data["items"]
    return [one["url"].removeprefix("http://") for one in listed]


async def test_next_page_begins_after_requests_that_were_deleted(tmp_path: Path) -> None:
    """A loop that reads a page and deletes its requests reads all of them, by cursor and by id."""
    async with calling(tmp_path) as call:
        queue = await _filled(call, 6)
        page = (await call("GET", f"{queue}/requests", limit=2)).data
        for request in page["items"]:
            await call("DELETE", f"{queue}/requests/{request['id']}")
        cursor, last_id = page["nextCursor"], page["items"][-1]["id"]
        assert await _numbers(call, f"{queue}/requests", limit=2, cursor=cursor) == ["2", "3"]
        by_id = await _numbers(call, f"{queue}/requests", limit=2, exclusiveStartId=last_id)
        assert by_id == ["2", "3"]
        unknown = await call("GET", f"{queue}/requests", exclusiveStartId="none")
        assert unknown.error == (400, "invalid-input")
    async with calling(tmp_path) as call:
        assert await _numbers(call, f"{queue}/requests", cursor=cursor) == ["2", "3", "4", "5"]


async def test_filters_are_a_union(tmp_path: Path) -> None:
    """`locked,pending` lists all that are not handled; another filter is refused."""
    async with calling(tmp_path) as call:
        queue = await _filled(call, 3)
        locked = (await call("POST", f"{queue}/head/lock", limit=1, lockSecs=60)).data["items"][0]
        done = {"url": "http://2", "handledAt": "2026-01-01T00:00:00.000Z"}
        ids = {
            one["url"]: one["id"] for one in (await call("GET", f"{queue}/requests")).data["items"]
        }
        await call("PUT", f"{queue}/requests/{ids['http://2']}", json=done)
        assert locked["url"] == "http://0"
        for filters, expected in (
            ("locked", ["0"]),
            ("pending", ["1"]),
            ("locked,pending", ["0", "1"]),
        ):
            assert await _numbers(call, f"{queue}/requests", filter=filters) == expected
        other = await call("GET", f"{queue}/requests", filter="handled")
        assert other.error == (400, "invalid-input")


async def test_order_and_fields_of_requests_survive_a_restart(tmp_path: Path) -> None:
    """A request that a client put first stays first; no field of a request deletes it."""
    async with calling(tmp_path) as call:
        queue = await _filled(call, 3)
        odd = {"url": "http://odd", "deleted": True, "forefront": True}
        await call("POST", f"{queue}/requests", json=odd)
        (first, second) = (
            await call("POST", f"{queue}/head/lock", limit=2, lockSecs=60, clientKey="me")
        ).data["items"]
        lock: dict[str, Any] = {"clientKey": "me", "forefront": "true"}
        await call("DELETE", f"{queue}/requests/{second['id']}/lock", **lock)
        await call("DELETE", f"{queue}/requests/{first['id']}/lock", clientKey="me")
        expected = ["1", "2", "odd", "0"]
        assert await _numbers(call, f"{queue}/head") == expected
    async with calling(tmp_path) as call:
        assert await _numbers(call, f"{queue}/head") == expected
        assert await _numbers(call, f"{queue}/requests") == ["0", "1", "2", "odd"]


async def test_changed_request_is_replaced_and_goes_to_the_end(tmp_path: Path) -> None:
    """A crawler that gives a request back visits the others first; one can be visited again."""
    async with calling(tmp_path) as call:
        queue = await _filled(call, 3)
        first = (await call("GET", f"{queue}/head", limit=1)).data["items"][0]
        place = f"{queue}/requests/{first['id']}"
        whole = (await call("GET", place)).data
        await call("PUT", place, json={**whole, "retryCount": 1})
        assert await _numbers(call, f"{queue}/head") == ["1", "2", "0"]
        await call("PUT", place, json={**whole, "retryCount": 2}, forefront="true")
        assert await _numbers(call, f"{queue}/head") == ["0", "1", "2"]
        await call("PUT", place, json={**whole, "handledAt": "2026-01-01T00:00:00.000Z"})
        assert await _numbers(call, f"{queue}/head") == ["1", "2"]
        # Clients leave fields without a value out, so what is missing is gone.
        await call("PUT", place, json=whole)
        assert await _numbers(call, f"{queue}/head") == ["1", "2", "0"]
        assert await _numbers(call, f"{queue}/requests") == ["0", "1", "2"]


def test_request_that_a_full_disk_refuses_is_not_in_the_queue(tmp_path: Path) -> None:
    """Adding it again later succeeds, and the file of the queue stays readable."""
    path = tmp_path / "queue.jsonl"
    queue = RequestQueue("q", path, created_at=0)
    queue.add({"url": "http://a"}, forefront=False)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, limits[1]))
    try:
        with pytest.raises(OSError, match="large"):
            queue.add({"url": "http://b"}, forefront=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert queue.total == 1
    assert not queue.add({"url": "http://b"}, forefront=False)["wasAlreadyPresent"]
    again = RequestQueue("q", path, created_at=0)
    assert [one["url"] for one in again.head(9)] == ["http://a", "http://b"]
