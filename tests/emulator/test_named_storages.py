"""Storages of runs that get a name, and the order in which storages are listed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson

from apify_emulator.stand_ins.stand_in_files import StandInRun, write_stand_in
from tests.emulator.caller import Caller, calling


async def _named(call: Caller, run: dict[str, Any]) -> None:
    """Gives all storages of a run a name, as a user does who wants to keep them."""
    queue = f"request-queues/{run['defaultRequestQueueId']}"
    await call("POST", f"{queue}/requests", json={"url": "http://a"})
    for place in (
        queue,
        f"datasets/{run['defaultDatasetId']}",
        f"key-value-stores/{run['defaultKeyValueStoreId']}",
    ):
        assert (await call("PUT", place, json={"name": "kept"})).status == 200


async def _check_kept(call: Caller) -> None:
    assert (await call("GET", "datasets/~kept")).data["itemCount"] == 2
    items = (await call("GET", "datasets/~kept/items")).json()
    assert items == [{"index": 0}, {"index": 1}]
    assert (await call("GET", "key-value-stores/~kept/records/OUTPUT")).json() == 7
    head = (await call("GET", "request-queues/~kept/head")).data["items"]
    assert [one["url"] for one in head] == ["http://a"]


async def test_storage_with_a_name_stays_when_its_run_is_deleted(tmp_path: Path) -> None:
    """Items, records and requests are kept, also across a restart; a reset deletes them."""
    async with calling(tmp_path) as call:
        run = await call.finish({"items": 2, "output": 7})
        await _named(call, run)
        assert (await call("DELETE", f"actor-runs/{run['id']}")).status == 204
        await _check_kept(call)
    async with calling(tmp_path) as call:
        await _check_kept(call)
        await call.session.post(f"{call.emulator.url}/__emulator/reset")
        for kind in ("datasets", "key-value-stores", "request-queues"):
            assert (await call("GET", kind, unnamed=1)).data["total"] == 0


async def test_storage_without_a_name_is_deleted_with_its_run(tmp_path: Path) -> None:
    """Also if everybody may read it, so that no empty storage stays."""
    async with calling(tmp_path) as call:
        run = await call.finish({"items": 2})
        place = f"datasets/{run['defaultDatasetId']}"
        await call("PUT", place, json={"generalAccess": "ANYONE_WITH_ID_CAN_READ"})
        await call("DELETE", f"actor-runs/{run['id']}")
        assert (await call("GET", place)).error == (404, "record-not-found")
        assert (await call("GET", "datasets", unnamed=1)).data["total"] == 0


async def test_storages_are_listed_in_order_of_creation(tmp_path: Path) -> None:
    """Those of runs stand between those of the account, with and without a name."""
    async with calling(tmp_path) as call:
        expected = []
        for number in range(3):
            expected.append((await call("POST", "datasets", name=f"set-{number}")).data["id"])
            expected.append((await call.finish())["defaultDatasetId"])
        await call("PUT", f"datasets/{expected[1]}", json={"name": "late"})
        listed = (await call("GET", "datasets", unnamed=1)).data["items"]
        assert [one["id"] for one in listed] == expected
        assert [one["createdAt"] for one in listed] == sorted(one["createdAt"] for one in listed)


async def test_other_datasets_of_a_run_are_listed(tmp_path: Path) -> None:
    """A list has all datasets of a run, until the run is deleted."""
    async with calling(tmp_path) as call:
        run = await call.finish({"items": 2, "datasets": {"errors": 3}})
        listed = (await call("GET", "datasets", unnamed=1)).data["items"]
        assert {one["id"]: one["itemCount"] for one in listed} == {
            run["defaultDatasetId"]: 2,
            run["storageIds"]["datasets"]["errors"]: 3,
        }
        await call("DELETE", f"actor-runs/{run['id']}")
        assert (await call("GET", "datasets", unnamed=1)).data["total"] == 0


async def test_lists_and_reset_need_no_recording(tmp_path: Path) -> None:
    """A recording that somebody deleted is missing in its run only."""
    lines = [orjson.dumps({"a": 1})]
    folder = write_stand_in(tmp_path / "actors", "apify/one", StandInRun(items=lines))
    async with calling(tmp_path) as call:
        started = await call("POST", "actors/apify~one/runs", json={}, waitForFinish=60)
        shutil.rmtree(folder / "recordings")
        (listed,) = (await call("GET", "datasets", unnamed=1)).data["items"]
        assert listed["itemCount"] == 1
        place = f"datasets/{started.data['defaultDatasetId']}"
        assert (await call("GET", f"{place}/items")).error == (404, "record-not-found")
        assert (await call("DELETE", f"actor-runs/{started.data['id']}")).status == 204


async def test_items_with_hidden_fields_only_are_not_clean(tmp_path: Path) -> None:
    """The count of clean items is that of a clean download, also after a restart."""
    items = [{"#debug": 1}, {}, {"a": 1, "#debug": 1}, {"#debug": 1, "a": 1}]
    async with calling(tmp_path) as call:
        await call("POST", "datasets", name="mine")
        await call("POST", "datasets/~mine/items", json=items)
    async with calling(tmp_path) as call:
        clean = (await call("GET", "datasets/~mine/items", clean=1)).json()
        assert (await call("GET", "datasets/~mine")).data["cleanItemCount"] == len(clean) == 2
        await call("POST", "datasets/~mine/items", json=items)
        assert (await call("GET", "datasets/~mine")).data["cleanItemCount"] == 4


async def test_table_of_chosen_fields_has_their_nested_columns(tmp_path: Path) -> None:
    """Each field that was asked for is a column, or has one for each of its nested values."""
    async with calling(tmp_path) as call:
        await call("POST", "datasets", name="mine")
        items = [{"z": 0, "a": {"b": 1, "c": [2, 3]}}, {"a": {"d": 4}}]
        await call("POST", "datasets/~mine/items", json=items)
        for extra, head in (({}, "none,a/b,a/c/0,a/c/1,a/d"), ({"omit": "a.c"}, "none,a/b,a/d")):
            query: dict[str, Any] = {"format": "csv", "bom": 0, "fields": "none,a", **extra}
            reply = await call("GET", "datasets/~mine/items", **query)
            assert reply.body.decode().splitlines()[0] == head
        html = await call("GET", "datasets/~mine/items", format="html", fields="a")
        assert b"<th>a/b</th>" in html.body
        assert b"<td>4</td>" in html.body
