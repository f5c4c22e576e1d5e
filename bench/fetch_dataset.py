"""
Downloads one dataset as a job's collection does: `python -m bench.fetch_dataset URL FOLDER`.

Prints on stderr how many seconds that took, from the request until the file is durable.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import anyio
from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions
from orchestrator.collector.item_download import ItemsDownload
from orchestrator.collector.ranges import fetch
from orchestrator.group_worker import GroupWorker
from orchestrator.model.ids import DatasetId
from orchestrator.model.jobs import ItemsQuery
from orchestrator.store.atomic_files import Files
from orchestrator.store.group_flush import flush_group


async def main(url: str, folder: Path) -> None:
    options = ClientOptions(base_url=url, token=SecretStr("none-is-asked-for"))
    async with GroupWorker("files", flush_group) as worker, ApifyClient(options) as client:
        download = ItemsDownload(
            client,
            Files(worker),
            folder=folder,
            name="items.jsonl",
            dataset_id=DatasetId("big"),
            query=ItemsQuery(),
        )
        began = time.perf_counter()
        try:
            await fetch(download)
            await download.publish()
        finally:
            download.discard()
        print(time.perf_counter() - began, file=sys.stderr)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], Path(sys.argv[2]), backend_options={"use_uvloop": True})
