"""What a user writes without this project: the official client, a semaphore and gather."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from apify_client import ApifyClientAsync

from bench.arguments import read_arguments


async def run_job(
    client: ApifyClientAsync,
    turns: asyncio.Semaphore,
    folder: Path,
    number: int,
    task: str,
    given: dict,
) -> None:
    async with turns:
        started = await client.task(task).start(task_input=given)
        run = await client.run(started.id).wait_for_finish()
    assert run is not None
    page = await client.dataset(run.default_dataset_id).list_items()
    with (folder / f"job-{number}.jsonl").open("w") as file:
        for item in page.items:
            file.write(json.dumps(item) + "\n")


async def main() -> None:
    options = read_arguments()
    given = json.loads(options.input)
    turns = asyncio.Semaphore(options.at_once)
    client = ApifyClientAsync(options.token, api_url=options.url)
    await asyncio.gather(
        *(
            run_job(client, turns, options.folder, n, options.tasks[n % len(options.tasks)], given)
            for n in range(options.jobs)
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
