"""
What a user writes today: the official client, a semaphore and gather.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from apify_client import ApifyClientAsync

ACTOR = "orchestrator/simulated"


async def run_job(
    client: ApifyClientAsync, turns: asyncio.Semaphore, folder: Path, number: int, given: dict
) -> None:
    async with turns:
        started = await client.actor(ACTOR).start(run_input=given, memory_mbytes=128)
        run = await client.run(started.id).wait_for_finish()
    assert run is not None
    page = await client.dataset(run.default_dataset_id).list_items()
    with (folder / f"job-{number}.jsonl").open("w") as file:
        for item in page.items:
            file.write(json.dumps(item) + "\n")


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--at-once", type=int, default=100)
    parser.add_argument("--input", type=json.loads, required=True)
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    turns = asyncio.Semaphore(options.at_once)
    client = ApifyClientAsync(options.token, api_url=options.url)
    await asyncio.gather(
        *(
            run_job(client, turns, options.folder, number, options.input)
            for number in range(options.jobs)
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
