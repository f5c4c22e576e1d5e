"""
Runs templates on an emulator and prints one result for each, as JSON lines.

It runs in the namespace of `template_site`, so that the templates reach its pages and nothing else.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp
import anyio

from apify_emulator import EmulatorOptions, serve_emulator
from tools.officials.template_list import TEMPLATES, Template
from tools.officials.template_site import certificate, raise_loopback, serving_pages

_WAIT_SECS = 180


async def _main(folder: Path, names: set[str]) -> None:
    raise_loopback()
    chain, key = certificate(folder)
    os.environ.update(SSL_CERT_FILE=str(chain), NODE_EXTRA_CA_CERTS=str(chain))
    options = EmulatorOptions(data_dir=folder / "data", actors_dirs=(folder / "actors",))
    async with serving_pages(chain, key), serve_emulator(options) as emulator:
        headers = {"Authorization": f"Bearer {emulator.token.get_secret_value()}"}
        async with aiohttp.ClientSession(f"{emulator.url}/v2/", headers=headers) as session:
            for template in TEMPLATES:
                if template.name in names:
                    print(json.dumps(await _result(session, folder, template)), flush=True)


async def _result(
    session: aiohttp.ClientSession, folder: Path, template: Template
) -> dict[str, Any]:
    definition = folder / "actors" / template.name / ".actor" / "actor.json"
    actor = json.loads(definition.read_text())["name"]
    run = await _data(session.post(f"acts/local~{actor}/runs", json=template.input))
    with anyio.move_on_after(_WAIT_SECS):
        while not run["finishedAt"]:
            run = await _data(session.get(f"actor-runs/{run['id']}?waitForFinish=20"))
    async with session.get(f"datasets/{run['defaultDatasetId']}/items") as answer:
        items = await answer.json()
    async with session.get(f"actor-runs/{run['id']}/log") as answer:
        log = await answer.text()
    return {"name": template.name, "run": run, "items": items, "log": log}


async def _data(request: Any) -> dict[str, Any]:
    async with request as answer:
        data: dict[str, Any] = (await answer.json())["data"]
        return data


if __name__ == "__main__":
    anyio.run(_main, Path(sys.argv[1]), set(sys.argv[2:]))
