"""The lower bound: a bare aiohttp loop that makes the same three calls, without a ledger."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp

from bench.arguments import read_arguments


async def run_job(
    session: aiohttp.ClientSession,
    turns: asyncio.Semaphore,
    folder: Path,
    number: int,
    task: str,
    given: dict,
) -> None:
    async with turns:
        async with session.post(f"/v2/actor-tasks/{task}/runs", json=given) as answer:
            answer.raise_for_status()
            run = (await answer.json())["data"]
        while run["status"] in {"READY", "RUNNING"}:
            url = f"/v2/actor-runs/{run['id']}?waitForFinish=60"
            async with session.get(url) as answer:
                answer.raise_for_status()
                run = (await answer.json())["data"]
    url = f"/v2/datasets/{run['defaultDatasetId']}/items?format=jsonl"
    async with session.get(url) as answer:
        answer.raise_for_status()
        with (folder / f"job-{number}.jsonl").open("wb") as file:
            async for chunk in answer.content.iter_any():
                file.write(chunk)


async def main() -> None:
    options = read_arguments()
    given = json.loads(options.input)
    turns = asyncio.Semaphore(options.at_once)
    async with (
        aiohttp.ClientSession(
            options.url,
            headers={"Authorization": f"Bearer {options.token}"},
            connector=aiohttp.TCPConnector(limit=0),
        ) as session,
        asyncio.TaskGroup() as jobs,
    ):
        for number in range(options.jobs):
            task = options.tasks[number % len(options.tasks)]
            jobs.create_task(run_job(session, turns, options.folder, number, task, given))


if __name__ == "__main__":
    asyncio.run(main())
