"""
The client of this project by itself, with a semaphore: what the API calls alone cost.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import anyio
from pydantic import SecretStr

from orchestrator.client import ApifyClient, ClientOptions
from orchestrator.model.ids import DatasetId, RunId
from orchestrator.model.jobs import RunOptions, Target, TargetKind

ACTOR = Target(kind=TargetKind.ACTOR, id="orchestrator/simulated")
OPTIONS = RunOptions(memory_mbytes=128)


async def run_job(
    client: ApifyClient, turns: anyio.Semaphore, folder: Path, number: int, body: bytes
) -> None:
    async with turns:
        run = (await client.start_run(ACTOR, body=body, options=OPTIONS)).facts()
        while not run.is_terminal:
            run = (await client.get_run(RunId(run.id), wait_secs=60)).facts()
    with (folder / f"job-{number}.jsonl").open("wb") as file:
        async with client.stream_items(DatasetId(run.dataset_id)) as download:
            async for chunk in download.chunks():
                file.write(chunk)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--at-once", type=int, default=100)
    parser.add_argument("--input", type=str.encode, required=True)
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    turns = anyio.Semaphore(options.at_once)
    place = ClientOptions(base_url=options.url, token=SecretStr(options.token))
    async with ApifyClient(place) as client, anyio.create_task_group() as jobs:
        for number in range(options.jobs):
            jobs.start_soon(run_job, client, turns, options.folder, number, options.input)


if __name__ == "__main__":
    anyio.run(main, backend_options={"use_uvloop": True})
