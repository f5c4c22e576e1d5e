"""What parameters of lists select: views, collections, `simplified`; and `raw` of logs."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from apify_emulator.stand_ins.real_runs import real_runs
from apify_emulator.stand_ins.stand_in_files import write_stand_in
from tests.emulator.caller import TOKEN, Caller, calling
from tests.emulator.sample_actors import write_actor

SCHEMA = {
    "actorSpecification": 1,
    "views": {
        "prices": {"transformation": {"fields": ["shop.name", "price"], "flatten": ["shop"]}},
        "bare": {"transformation": {"omit": ["shop", "index"]}, "display": {"component": "table"}},
    },
}
ITEM = {"price": 3, "shop": {"name": "a", "id": 7}, "seen": True}
PAGES = [
    {"url": "u1", "pageFunctionResult": [{"a": 1}, {"a": 2}], "loadedUrl": "x"},
    {"url": "u2", "pageFunctionResult": {"a": 3}, "depth": 1},
    {"url": "u3", "errorInfo": "timeout", "depth": 1},
]


def _actors(folder: Path) -> Path:
    storages = {"dataset": SCHEMA}
    return write_actor(folder / "actors", "shop", "", simulated=True, storages=storages)


async def _dataset(call: Caller, actor: str = "local~shop") -> str:
    given = {"items": 1, "item": ITEM}
    run = await call.wait((await call("POST", f"actors/{actor}/runs", json=given)).data)
    return f"datasets/{run['defaultDatasetId']}"


async def test_view_selects_the_fields_of_the_schema(tmp_path: Path) -> None:
    """A view stands for its transformation, in each format; a given parameter wins over it."""
    async with calling(tmp_path / "data", actors_dirs=(_actors(tmp_path),)) as call:
        path = await _dataset(call)
        prices = await call("GET", f"{path}/items", view="prices")
        assert prices.json() == [{"shop.name": "a", "price": 3}]
        table = await call("GET", f"{path}/items", view="prices", format="csv", bom=0)
        assert table.body == b"shop.name,price\na,3\n"
        assert (await call("GET", f"{path}/items", view="bare")).json() == [
            {"price": 3, "seen": True}
        ]
        given = await call("GET", f"{path}/items", view="prices", fields="price", format="jsonl")
        assert given.lines == [{"price": 3}]
        assert (await call("GET", path)).data["schema"] == SCHEMA


async def test_unknown_view_is_refused(tmp_path: Path) -> None:
    """A misspelt view, and one of a dataset without a schema, are refused with the known ones."""
    async with calling(tmp_path / "data", actors_dirs=(_actors(tmp_path),)) as call:
        reply = await call("GET", f"{await _dataset(call)}/items", view="price", format="jsonl")
        assert reply.error == (400, "requested-dataset-view-does-not-exist")
        assert b"has: prices, bare" in reply.body
        bare = (await call("POST", "datasets")).data["id"]
        assert (await call("GET", f"datasets/{bare}/items", view="prices")).error[0] == 400


async def test_recorded_actor_keeps_its_views(tmp_path: Path) -> None:
    """The stand-in of a recorded run has the schema of the real Actor's dataset."""
    async with calling(tmp_path / "real", actors_dirs=(_actors(tmp_path),)) as call:
        run = (await call("GET", await _dataset(call))).data["actRunId"]
        async with real_runs(SecretStr(TOKEN), call.emulator.url) as reader:
            real = await reader.run(run)
            contents = await reader.contents(real, None)
            _, storages = await reader.schemas(real)
    kept = tmp_path / "data" / "actors"
    write_stand_in(kept, "acme/shop", contents, definition={"storages": storages})
    async with calling(tmp_path / "data") as call:
        reply = await call("GET", f"{await _dataset(call, 'acme~shop')}/items", view="prices")
        assert reply.json() == [{"shop.name": "a", "price": 3}]


async def test_collection_selects_the_keys_of_the_schema(tmp_path: Path) -> None:
    """A collection of the store's schema is a prefix or one key; an unknown one is refused."""
    collections = {"shots": {"keyPrefix": "shot-"}, "result": {"key": "OUTPUT"}}
    storages = {"keyValueStore": {"collections": collections}}
    actors = write_actor(tmp_path / "actors", "shop", "", simulated=True, storages=storages)
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        run = await call.wait((await call("POST", "actors/local~shop/runs")).data)
        store = f"key-value-stores/{run['defaultKeyValueStoreId']}"
        for key in ("shot-1", "shot-2", "OUTPUT", "other"):
            await call("PUT", f"{store}/records/{key}", json={})

        async def keys(name: str) -> list[str]:
            found = await call("GET", f"{store}/keys", collection=name)
            return [item["key"] for item in found.data["items"]]

        assert (await keys("shots"), await keys("result")) == (["shot-1", "shot-2"], ["OUTPUT"])
        reply = await call("GET", f"{store}/keys", collection="shot")
        assert reply.error == (400, "invalid-collection")


async def test_actors_are_listed_by_their_last_run(tmp_path: Path) -> None:
    """Those without a run come first, and an Actor that was added just now is in the list."""
    actors = write_actor(tmp_path / "actors", "first", "", simulated=True)
    write_actor(actors, "second", "", simulated=True)
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        for name in ("second", "first"):
            await call.wait((await call("POST", f"actors/local~{name}/runs")).data)
        write_actor(actors, "third", "", simulated=True)

        async def names(**query: Any) -> list[str]:
            listed = (await call("GET", "actors", **query)).data["items"]
            return [actor["name"] for actor in listed if actor["username"] == "local"]

        assert await names() == ["first", "second", "third"]
        by_run = {"sortBy": "stats.lastRunStartedAt"}
        assert await names(**by_run) == ["third", "second", "first"]
        assert await names(**by_run, desc=1) == ["first", "second", "third"]
        assert (await call("GET", "actors", sortBy="name")).error == (400, "invalid-input")


async def test_no_storage_is_of_another_account(tmp_path: Path) -> None:
    """The emulator has one account, so no storage is another account's."""
    async with calling(tmp_path) as call:
        for kind in ("datasets", "key-value-stores", "request-queues"):
            await call("POST", kind, name="mine")
            shared, own = [
                (await call("GET", kind, ownership=name)).data["total"]
                for name in ("sharedWithMe", "ownedByMe")
            ]
            assert (shared, own) == (0, 1)


async def test_log_has_no_terminal_sequences_unless_it_is_raw(tmp_path: Path) -> None:
    """SDKs write colours into their logs, which Apify removes, also while it streams."""
    code = r"""
        sys.stdout.write("\x1b[31mred\x1b[0m \x1b]0;title\x07end\n" + "x\x1b[1m" * 16_000 + "\n")
    """
    actors = write_actor(tmp_path / "actors", "loud", code)
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        run = await call.wait((await call("POST", "actors/local~loud/runs")).data)
        plain = (await call("GET", f"logs/{run['id']}")).body
        assert b"Z red end\n" in plain
        assert b"Z " + b"x" * 16_000 + b"\n" in plain
        assert (await call("GET", f"logs/{run['id']}", stream=1)).body == plain
        assert b"\x1b[31mred" in (await call("GET", f"logs/{run['id']}", raw=1)).body


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            {"simplified": 1},
            [
                {"url": "u1", "a": 1},
                {"url": "u1", "a": 2},
                {"url": "u2", "a": 3},
                {"url": "u3", "errorInfo": "timeout"},
            ],
        ),
        (
            {"simplified": 1, "skipFailedPages": 1},
            [{"url": "u1", "a": 1}, {"url": "u1", "a": 2}, {"url": "u2", "a": 3}],
        ),
        ({"skipFailedPages": 1}, PAGES[:2]),
    ],
)
async def test_simplified_items_are_the_results_of_page_functions(
    tmp_path: Path, query: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    """`simplified` picks three fields and unwinds the results; failed pages can be left out."""
    async with calling(tmp_path) as call:
        path = f"datasets/{(await call('POST', 'datasets')).data['id']}"
        await call("POST", f"{path}/items", json=PAGES)
        assert (await call("GET", f"{path}/items", **query)).json() == expected


async def test_feed_names_its_dataset(tmp_path: Path) -> None:
    """A feed without a title has the name or the id of the dataset, as the API describes it."""
    async with calling(tmp_path) as call:
        dataset = (await call("POST", "datasets", name="news")).data["id"]
        reply = await call("GET", f"datasets/{dataset}/items", format="rss")
        assert b"<title>Dataset news</title>" in reply.body
        assert f'Items in dataset with id "{dataset}".' in html.unescape(reply.body.decode())
