"""Only the client of this project, with a semaphore: the cost of the API calls alone."""

from __future__ import annotations

from pathlib import Path

import anyio
from pydantic import SecretStr

from bench.arguments import read_arguments
from orchestrator.apify import ApifyClient, ClientOptions
from orchestrator.model.ids import DatasetId, RunId
from orchestrator.model.jobs import Target, TargetKind


async def run_job(
    client: ApifyClient, turns: anyio.Semaphore, folder: Path, number: int, task: str, body: bytes
) -> None:
    target = Target(kind=TargetKind.TASK, id=task)
    async with turns:
        run = (await client.runs.start(target, body=body)).facts()
        while not run.is_terminal:
            run = (await client.runs.get(RunId(run.id), wait_secs=60)).facts()
    with (folder / f"job-{number}.jsonl").open("wb") as file:
        async with client.storages.stream_items(DatasetId(run.dataset_id)) as download:
            async for chunk in download.chunks():
                file.write(chunk)


async def main() -> None:
    options = read_arguments()
    turns = anyio.Semaphore(options.at_once)
    place = ClientOptions(base_url=options.url, token=SecretStr(options.token))
    async with ApifyClient(place) as client, anyio.create_task_group() as jobs:
        for number in range(options.jobs):
            task = options.tasks[number % len(options.tasks)]
            body = options.input.encode()
            jobs.start_soon(run_job, client, turns, options.folder, number, task, body)


if __name__ == "__main__":
    anyio.run(main, backend_options={"use_uvloop": True})
