"""Two crawlers of Crawlee, each a process of its own, share one request queue."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import anyio

from apify_emulator import EmulatorOptions, serve_emulator
from tools.officials.suite import EMULATOR, ROOT, Place, Section, SkippedError, table

REQUESTS = 300
_WAIT_SECS = 600
_PYTHON_NEEDS = "apify==4.1.0\ncrawlee==1.11.0\n"
_NODE_NEEDS = {"apify": "3.7.2", "@crawlee/basic": "3.18.1"}
_PYTHON = """
import asyncio

from apify import Actor
from apify.storage_clients import ApifyStorageClient
from crawlee.crawlers import BasicCrawler, BasicCrawlingContext
from crawlee.storages import RequestQueue


async def main():
    async with Actor:
        given = await Actor.get_input()
        shared = ApifyStorageClient(request_queue_access="shared")
        queue = await RequestQueue.open(name=given["queue"], storage_client=shared)
        crawler = BasicCrawler(request_manager=queue)

        @crawler.router.default_handler
        async def handle(context: BasicCrawlingContext):
            await asyncio.sleep(0.05)
            await Actor.push_data({"url": context.request.url})

        await crawler.run([f"http://shop/{number}" for number in range(given["count"])])


asyncio.run(main())
"""
_NODE = """
import { BasicCrawler } from '@crawlee/basic';
import { Actor } from 'apify';

await Actor.init();
const { queue, count } = await Actor.getInput();
const requestQueue = await Actor.openRequestQueue(queue);
const crawler = new BasicCrawler({
    requestQueue,
    async requestHandler({ request }) {
        await new Promise((done) => { setTimeout(done, 50); });
        await Actor.pushData({ url: request.url });
    },
});
await crawler.run(Array.from({ length: count }, (_, number) => `http://shop/${number}`));
await Actor.exit();
"""
_TEXT = """\
Two runs of a crawler of Crawlee (apify 4.1.0 with crawlee 1.11.0 for Python, apify {apify} with
@crawlee/basic {crawlee} for Node) add the same {requests} requests to one named queue, and crawl it
at the same time.

{results}
"""


def shared_queue(place: Place) -> Section:
    """Runs each pair of crawlers, and counts how often each request was handled."""
    _write_actors(place.folder / "actors")
    build = [*EMULATOR, "build", "--actors", str(place.folder / "actors")]
    if subprocess.run(build, check=False, cwd=ROOT).returncode:
        raise SkippedError("the packages of the crawlers cannot be installed")
    rows, passed = anyio.run(_results, place.folder)
    text = _TEXT.format(
        apify=_NODE_NEEDS["apify"],
        crawlee=_NODE_NEEDS["@crawlee/basic"],
        requests=REQUESTS,
        results=table(("crawlers", "handled by each", "lost", "handled twice"), rows),
    )
    summary = f"{len(rows)} pairs: {'' if passed else 'not '}each request handled once"
    return Section("Crawlee's request queue, two processes on one queue", text, passed, summary)


def _write_actors(folder: Path) -> None:
    package = {
        "name": "node", "type": "module", "dependencies": _NODE_NEEDS,
        "scripts": {"start": "node main.js"},
    }  # fmt: skip
    for name, files in {
        "python": {"main.py": _PYTHON, "requirements.txt": _PYTHON_NEEDS},
        "node": {"main.js": _NODE, "package.json": json.dumps(package)},
    }.items():
        definition = {"actorSpecification": 1, "name": name, "version": "0.1"}
        (folder / name / ".actor").mkdir(parents=True)
        (folder / name / ".actor" / "actor.json").write_text(json.dumps(definition))
        for file, text in files.items():
            (folder / name / file).write_text(text)


async def _results(folder: Path) -> tuple[list[tuple[str, ...]], bool]:
    options = EmulatorOptions(data_dir=folder / "data", actors_dirs=(folder / "actors",))
    rows: list[tuple[str, ...]] = []
    passed = True
    async with serve_emulator(options) as emulator:
        headers = {"Authorization": f"Bearer {emulator.token.get_secret_value()}"}
        async with aiohttp.ClientSession(f"{emulator.url}/v2/", headers=headers) as session:
            for pair in (("python", "python"), ("node", "node"), ("python", "node")):
                handled = await _handled(session, pair)
                counts = Counter(url for urls in handled for url in urls)
                lost, twice = REQUESTS - len(counts), sum(n > 1 for n in counts.values())
                shares = ", ".join(str(len(urls)) for urls in handled)
                rows.append((" and ".join(pair), shares, str(lost), str(twice)))
                passed = passed and lost == 0 and twice == 0 and all(handled)
    return rows, passed


async def _handled(session: aiohttp.ClientSession, pair: tuple[str, str]) -> list[list[str]]:
    """Returns the URLs that each of two runs on a new queue has handled."""
    name = "-".join(("shared", *pair))
    await _data(session.post("request-queues", params={"name": name}))
    given = {"queue": name, "count": REQUESTS}
    runs = [await _data(session.post(f"acts/local~{kind}/runs", json=given)) for kind in pair]
    found = []
    for run in runs:
        with anyio.fail_after(_WAIT_SECS):
            while not run["finishedAt"]:
                run = await _data(session.get(f"actor-runs/{run['id']}?waitForFinish=20"))
        if run["status"] != "SUCCEEDED":
            async with session.get(f"actor-runs/{run['id']}/log") as answer:
                print(await answer.text())
        async with session.get(f"datasets/{run['defaultDatasetId']}/items") as answer:
            found.append([item["url"] for item in await answer.json()])
    return found


async def _data(request: Any) -> dict[str, Any]:
    async with request as answer:
        data: dict[str, Any] = (await answer.json())["data"]
        return data
