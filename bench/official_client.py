"""
What a user writes without this project: the official client, a semaphore and gather.

A job is the first example of the client's README: `call`, then `iterate_items`. With `--one-page`,
it reads only the first page of items, as the guide's quick start does: that is one request less.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from apify_client import ApifyClientAsync

from bench.arguments import parser_of_peers, prepared


async def run_job(
    client: ApifyClientAsync,
    turns: asyncio.Semaphore,
    path: Path,
    task: str,
    given: dict,
    *,
    one_page: bool,
) -> None:
    async with turns:
        run = await client.task(task).call(task_input=given)
    assert run is not None
    dataset = client.dataset(run.default_dataset_id)
    with path.open("w") as file:
        if one_page:
            for item in (await dataset.list_items()).items:
                file.write(json.dumps(item) + "\n")
            return
        async for item in dataset.iterate_items():
            file.write(json.dumps(item) + "\n")


async def main() -> None:
    parser = parser_of_peers()
    parser.add_argument("--one-page", action="store_true")
    options = prepared(parser)
    given = json.loads(options.input)
    turns = asyncio.Semaphore(options.at_once)
    client = ApifyClientAsync(options.token, api_url=options.url)
    await asyncio.gather(
        *(
            run_job(
                client,
                turns,
                options.folder / f"job-{number}.jsonl",
                options.tasks[number % len(options.tasks)],
                given,
                one_page=options.one_page,
            )
            for number in range(options.jobs)
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
