"""Datasets, key-value stores and request queues."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import brotli  # type: ignore[import-untyped]  # it has no type information
import orjson
import pytest
from yarl import URL

from tests.emulator.caller import Caller, Reply, calling

ITEMS = [
    {"a": 1, "b": {"c": "x", "d": [1, 2]}, "#debug": 1},
    {},
    {"a": 2, "list": [{"p": 1}, {"p": 2}]},
    {"a": 'q"uote, <b>', "e": None},
]


async def _filled(call: Caller, items: list[dict[str, Any]] | None = None) -> str:
    dataset: str = (await call("POST", "datasets")).data["id"]
    reply = await call("POST", f"datasets/{dataset}/items", json=items or ITEMS)
    assert (reply.status, reply.json()) == (201, {})
    return f"datasets/{dataset}"


async def test_items_are_in_order_with_pagination(tmp_path: Path) -> None:
    """Items keep their order; five headers describe the part."""
    async with calling(tmp_path) as call:
        dataset = await _filled(call)
        reply = await call("GET", f"{dataset}/items", offset=1, limit=2)
        assert reply.json() == ITEMS[1:3]
        names = ("Total", "Offset", "Limit", "Count", "Desc")
        shown = [reply.headers[f"X-Apify-Pagination-{name}"] for name in names]
        assert shown == ["4", "1", "2", "2", "false"]
        whole = await call("GET", f"{dataset}/items")
        assert whole.headers["X-Apify-Pagination-Limit"] == "999999999999"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"desc": 1, "limit": 1}, [ITEMS[3]]),
        ({"desc": True, "offset": 1, "limit": 2}, [ITEMS[2], ITEMS[1]]),
        ({"clean": 1, "fields": "a,#debug"}, [{"a": 1}, {"a": 2}, {"a": 'q"uote, <b>'}]),
        (
            {"skipEmpty": "true", "omit": "b,list,e,#debug"},
            [{"a": 1}, {"a": 2}, {"a": 'q"uote, <b>'}],
        ),
        ({"fields": "b.c", "limit": 1}, [{"b.c": "x"}]),
        ({"fields": "a,e", "outputFields": "n", "offset": 3}, [{"n": 'q"uote, <b>', "e": None}]),
        ({"omit": "b.d,#debug", "limit": 1}, [{"a": 1, "b": {"c": "x"}}]),
        (
            {"flatten": "b", "limit": 1, "skipHidden": 1},
            [{"a": 1, "b.c": "x", "b.d.0": 1, "b.d.1": 2}],
        ),
        ({"unwind": "list", "offset": 2, "limit": 1}, [{"a": 2, "p": 1}, {"a": 2, "p": 2}]),
        ({"offset": 99}, []),
        ({"limit": 0}, []),
    ],
)
@pytest.mark.parametrize("name", ["json", "jsonl"])
async def test_items_are_transformed_by_parameters(
    tmp_path: Path, query: dict[str, Any], expected: list[dict[str, Any]], name: str
) -> None:
    """Every parameter does what the API describes, in both JSON formats."""
    async with calling(tmp_path) as call:
        dataset = await _filled(call)
        reply = await call("GET", f"{dataset}/items", format=name, **query)
        assert (reply.lines if name == "jsonl" else reply.json()) == expected


async def test_items_as_csv(tmp_path: Path) -> None:
    """A table has a column for every nested value, quotes, and a byte order mark."""
    async with calling(tmp_path) as call:
        dataset = await _filled(call)
        reply = await call("GET", f"{dataset}/items", format="csv", omit="list,#debug")
        assert reply.body.decode("utf-8-sig").splitlines() == [
            "a,b/c,b/d/0,b/d/1,e",
            "1,x,1,2,",
            ",,,,",
            "2,,,,",
            '"q""uote, <b>",,,,',
        ]
        assert reply.body.startswith(b"\xef\xbb\xbf")
        bare = await call(
            "GET",
            f"{dataset}/items",
            format="csv",
            fields="a,e",
            skipHeaderRow=1,
            bom=0,
            delimiter=";",
            limit=1,
        )
        assert bare.body == b"1;\n"


@pytest.mark.parametrize(
    ("name", "content_type", "part"),
    [
        ("html", "text/html", b"<td>q&quot;uote, &lt;b&gt;</td>"),
        (
            "xml",
            "application/xml",
            b"<thing><a>2</a><list><p>1</p></list><list><p>2</p></list></thing>",
        ),
        ("rss", "application/rss+xml", b"<title>Mine</title>"),
    ],
)
async def test_items_as_markup(tmp_path: Path, name: str, content_type: str, part: bytes) -> None:
    """The other formats have the same values, escaped."""
    async with calling(tmp_path) as call:
        dataset = await _filled(call)
        reply = await call("GET", f"{dataset}/items", format=name, xmlRow="thing", feedTitle="Mine")
        assert reply.headers["Content-Type"].startswith(content_type)
        assert part in reply.body


async def test_unknown_format_is_refused(tmp_path: Path) -> None:
    """The refusal of a format lists the formats that exist."""
    async with calling(tmp_path) as call:
        reply = await call("GET", f"{await _filled(call)}/items", format="docx")
        assert reply.error == (400, "invalid-input")


async def test_large_datasets_are_streamed_from_any_offset(tmp_path: Path) -> None:
    """Any part of a large dataset is exact, and its header has the length."""
    items = [{"n": number, "pad": "x" * (number % 90)} for number in range(7000)]
    async with calling(tmp_path) as call:
        dataset = await _filled(call, items)
        for offset, limit in ((0, 7000), (999, 3), (1000, 1), (6500, 900), (2500, 4000)):
            plain = {"Accept-Encoding": "identity"}
            reply = await call(
                "GET", f"{dataset}/items", format="jsonl", offset=offset, limit=limit, headers=plain
            )
            assert reply.lines == items[offset : offset + limit]
            assert int(reply.headers["Content-Length"]) == len(reply.body)
        assert (await call("GET", f"{dataset}/items", desc=1)).json() == items[::-1]


async def test_items_are_compressed_for_clients_that_accept_it(tmp_path: Path) -> None:
    """A client that accepts gzip gets it, also for a stream."""
    items = [{"n": number, "pad": "x" * 50} for number in range(5000)]
    async with calling(tmp_path) as call:
        dataset = await _filled(call, items)
        url = f"{call.emulator.url}/v2/{dataset}/items?format=jsonl"
        asked = {"Accept-Encoding": "gzip"}
        async with call.session.get(url, headers=asked) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert len((await answer.read()).splitlines()) == 5000


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("br", brotli.compress)], ids=["gzip", "br"]
)
async def test_items_are_pushed_compressed(tmp_path: Path, encoding: str, pack: Any) -> None:
    """Items can be pushed one by one or many at once, compressed or not."""
    async with calling(tmp_path) as call:
        dataset = (await call("POST", "datasets")).data["id"]
        headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        body = pack(orjson.dumps([{"a": 1}, {"a": 2}]))
        await call("POST", f"datasets/{dataset}/items", body=body, headers=headers)
        await call("POST", f"datasets/{dataset}/items", json={"a": 3})
        view = (await call("GET", f"datasets/{dataset}")).data
        assert (view["itemCount"], view["cleanItemCount"]) == (3, 3)


@pytest.mark.parametrize("body", [b"[1]", b'"x"', b"{", b""])
async def test_items_that_are_not_objects_are_refused(tmp_path: Path, body: bytes) -> None:
    """A push with anything other than objects adds nothing."""
    async with calling(tmp_path) as call:
        dataset = (await call("POST", "datasets")).data["id"]
        reply = await call("POST", f"datasets/{dataset}/items", body=body)
        assert reply.error == (400, "invalid-input")
        assert (await call("GET", f"datasets/{dataset}")).data["itemCount"] == 0


async def test_items_can_be_pushed_to_a_simulated_run(tmp_path: Path) -> None:
    """Pushed items follow those of the simulation."""
    async with calling(tmp_path) as call:
        run = await call.finish({"items": 2})
        await call("POST", f"actor-runs/{run['id']}/dataset/items", json={"mine": 1})
        items = await call("GET", f"actor-runs/{run['id']}/dataset/items")
        assert items.json() == [{"index": 0}, {"index": 1}, {"mine": 1}]


@pytest.mark.parametrize("kind", ["datasets", "key-value-stores", "request-queues"])
async def test_named_storages_are_created_once_and_listed(tmp_path: Path, kind: str) -> None:
    """A name gives the same storage, until it is renamed or deleted."""
    async with calling(tmp_path) as call:
        made = await call("POST", kind, name="shared")
        again = await call("POST", kind, name="shared")
        assert (made.status, again.status) == (201, 200)
        assert made.data["id"] == again.data["id"]
        assert [one["name"] for one in (await call("GET", kind)).data["items"]] == ["shared"]
        place = f"{kind}/{made.data['id']}"
        assert (await call("PUT", place, json={"name": "other"})).data["name"] == "other"
        assert (await call("GET", f"{kind}/me~other")).data["id"] == made.data["id"]
        assert (await call("DELETE", place)).status == 204
        assert (await call("GET", place)).error == (404, "record-not-found")
        assert (await call("POST", kind, name="../x")).error == (400, "invalid-input")


async def test_records_keep_their_type(tmp_path: Path) -> None:
    """A record keeps its bytes and its type until it is deleted."""
    async with calling(tmp_path) as call:
        store = f"key-value-stores/{(await call('POST', 'key-value-stores')).data['id']}"
        put = await call(
            "PUT", f"{store}/records/PIC", body=b"\x89PNG", headers={"Content-Type": "image/png"}
        )
        assert (put.status, put.json()) == (201, {})
        got = await call("GET", f"{store}/records/PIC")
        assert (got.body, got.headers["Content-Type"]) == (b"\x89PNG", "image/png")
        assert (await call("HEAD", f"{store}/records/PIC")).status == 200
        assert (await call("DELETE", f"{store}/records/PIC")).status == 204
        assert (await call("GET", f"{store}/records/PIC")).error == (404, "record-not-found")
        assert (await call("HEAD", f"{store}/records/PIC")).status == 404


async def test_records_of_a_simulated_run_can_be_deleted(tmp_path: Path) -> None:
    """A record that is not on disk can be replaced and deleted too."""
    async with calling(tmp_path) as call:
        run = await call.finish({"output": 1})
        record = f"actor-runs/{run['id']}/key-value-store/records/OUTPUT"
        await call("PUT", record, json=2)
        assert (await call("GET", record)).json() == 2
        await call("DELETE", record)
        assert (await call("GET", record)).status == 404


def _escapes(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.name != "data"]


@pytest.mark.parametrize("key", ["..%2F..%2Fevil", "%2Fetc%2Fpasswd", "a%00b", "a%20b", "x" * 257])
async def test_record_keys_cannot_leave_the_store(tmp_path: Path, key: str) -> None:
    """A key with other than the allowed characters is refused."""
    async with calling(tmp_path / "data") as call:
        store = (await call("POST", "key-value-stores")).data["id"]
        url = f"{call.emulator.url}/v2/key-value-stores/{store}/records/{key}"
        async with call.session.put(URL(url, encoded=True), data=b"x") as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["type"] == "invalid-record-key"
        assert _escapes(tmp_path) == []


@pytest.mark.parametrize("key", ["..", ".", "con", "A!-_.'()", "x" * 256])
async def test_unusual_but_valid_keys_work(tmp_path: Path, key: str) -> None:
    """Keys that are unusual as file names are stored like all others."""
    async with calling(tmp_path / "data") as call:
        store = (await call("POST", "key-value-stores")).data["id"]
        path = quote(key, safe="").replace(".", "%2E")
        url = URL(f"{call.emulator.url}/v2/key-value-stores/{store}/records/{path}", encoded=True)
        async with call.session.put(url, data=b"x") as answer:
            assert answer.status == 201
        listed = (await call("GET", f"key-value-stores/{store}/keys")).data["items"]
        assert [one["key"] for one in listed] == [key]
        assert _escapes(tmp_path) == []


async def test_keys_are_listed_in_pages(tmp_path: Path) -> None:
    """Keys are listed in binary order, by prefix, page by page."""
    async with calling(tmp_path) as call:
        store = f"key-value-stores/{(await call('POST', 'key-value-stores')).data['id']}"
        for key in ("b", "a2", "A", "a1", "a3"):
            await call("PUT", f"{store}/records/{key}", body=b"v")
        page = (await call("GET", f"{store}/keys", limit=2)).data
        assert [one["key"] for one in page["items"]] == ["A", "a1"]
        assert (page["isTruncated"], page["nextExclusiveStartKey"]) == (True, "a1")
        rest = (await call("GET", f"{store}/keys", exclusiveStartKey="a1", prefix="a")).data
        assert [one["key"] for one in rest["items"]] == ["a2", "a3"]
        assert (rest["isTruncated"], rest["nextExclusiveStartKey"]) == (False, None)


async def _queue(call: Caller) -> str:
    return f"request-queues/{(await call('POST', 'request-queues')).data['id']}"


async def test_queue_adds_each_request_once(tmp_path: Path) -> None:
    """The same unique key is added once, alone or in a batch."""
    async with calling(tmp_path) as call:
        queue = await _queue(call)
        first = await call("POST", f"{queue}/requests", json={"url": "http://a", "uniqueKey": "a"})
        assert (first.status, first.data["wasAlreadyPresent"]) == (201, False)
        batch = [{"url": "http://a", "uniqueKey": "a"}, {"url": "http://b", "uniqueKey": "b"}]
        added = (await call("POST", f"{queue}/requests/batch", json=batch)).data
        assert [one["wasAlreadyPresent"] for one in added["processedRequests"]] == [True, False]
        assert (await call("GET", queue)).data["totalRequestCount"] == 2


async def test_queue_head_advances_when_requests_are_handled(tmp_path: Path) -> None:
    """A handled request leaves the head; a forefront request is its first."""
    async with calling(tmp_path) as call:
        queue = await _queue(call)
        for url in ("http://a", "http://b"):
            await call("POST", f"{queue}/requests", json={"url": url})
        await call("POST", f"{queue}/requests", json={"url": "http://c"}, forefront=1)
        head = (await call("GET", f"{queue}/head")).data["items"]
        assert [one["url"] for one in head] == ["http://c", "http://a", "http://b"]
        done = (await call("GET", f"{queue}/requests/{head[0]['id']}")).data
        done["handledAt"] = "2026-01-01T00:00:00.000Z"
        await call("PUT", f"{queue}/requests/{done['id']}", json=done)
        head = (await call("GET", f"{queue}/head")).data["items"]
        assert [one["url"] for one in head] == ["http://a", "http://b"]
        counts = (await call("GET", queue)).data
        assert (counts["handledRequestCount"], counts["pendingRequestCount"]) == (1, 2)


async def test_queue_lock_hides_a_request_from_other_clients(tmp_path: Path) -> None:
    """No other client gets a locked request until it is unlocked."""
    async with calling(tmp_path) as call:
        queue = await _queue(call)
        for url in ("http://a", "http://b"):
            await call("POST", f"{queue}/requests", json={"url": url})

        async def take(client: str) -> Reply:
            return await call("POST", f"{queue}/head/lock", limit=1, lockSecs=60, clientKey=client)

        mine = (await take("me")).data["items"][0]
        theirs = (await take("them")).data["items"][0]
        assert (mine["url"], theirs["url"]) == ("http://a", "http://b")
        lock = f"{queue}/requests/{mine['id']}/lock"
        refused = await call("PUT", lock, lockSecs=60, clientKey="them")
        assert refused.error == (409, "request-handled-or-locked")
        assert (await call("PUT", lock, lockSecs=60, clientKey="me")).status == 200
        assert (await call("DELETE", lock, clientKey="me")).status == 204
        assert (await take("them")).data["items"][0]["url"] == "http://a"
        unlocked = await call("POST", f"{queue}/requests/unlock", clientKey="them")
        assert unlocked.data == {"unlockedCount": 2}


async def test_queue_lists_and_deletes(tmp_path: Path) -> None:
    """Requests are listed page by page, and can be deleted alone or in a batch."""
    async with calling(tmp_path) as call:
        queue = await _queue(call)
        batch = [{"url": f"http://{number}"} for number in range(5)]
        await call("POST", f"{queue}/requests/batch", json=batch)
        page = (await call("GET", f"{queue}/requests", limit=3)).data
        rest = (await call("GET", f"{queue}/requests", cursor=page["nextCursor"])).data
        urls = [one["url"] for one in [*page["items"], *rest["items"]]]
        assert urls == [one["url"] for one in batch]
        first, second = page["items"][:2]
        assert (await call("DELETE", f"{queue}/requests/{first['id']}")).status == 204
        gone = await call("DELETE", f"{queue}/requests/batch", json=[{"id": second["id"]}])
        assert [one["id"] for one in gone.data["processedRequests"]] == [second["id"]]
        assert (await call("GET", queue)).data["totalRequestCount"] == 3
        missing = await call("GET", f"{queue}/requests/{first['id']}")
        assert missing.error == (404, "record-not-found")


@pytest.mark.parametrize(
    "field",
    [
        {"handledAt": ""},
        {"userData": "x"},
        {"url": ["http://a"]},
        {"retryCount": True},
        {"method": "FETCH"},
    ],
)
async def test_queue_refuses_fields_of_another_type(tmp_path: Path, field: dict[str, Any]) -> None:
    """A request with such a field gets 400, when it is added and when it changes."""
    async with calling(tmp_path) as call:
        queue = await _queue(call)
        request = {"url": "http://a", "uniqueKey": "a", **field}
        assert (await call("POST", f"{queue}/requests", json=request)).status == 400
        assert (await call("PUT", f"{queue}/requests/x", json=request)).status == 400


async def test_queue_takes_null_for_a_default(tmp_path: Path) -> None:
    """A request whose method is null is a GET."""
    async with calling(tmp_path) as call:
        queue = await _queue(call)
        await call("POST", f"{queue}/requests", json={"url": "http://a", "method": None})
        (head,) = (await call("GET", f"{queue}/head")).data["items"]
        assert head["method"] == "GET"


async def test_concurrent_pushes_are_all_kept(tmp_path: Path) -> None:
    """Items of concurrent pushes are all stored and counted."""
    async with calling(tmp_path) as call:
        dataset = (await call("POST", "datasets")).data["id"]

        async def push(number: int) -> None:
            await call("POST", f"datasets/{dataset}/items", json=[{"n": number}] * 3)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(push, number)
        assert (await call("GET", f"datasets/{dataset}")).data["itemCount"] == 60
        assert len((await call("GET", f"datasets/{dataset}/items")).json()) == 60
