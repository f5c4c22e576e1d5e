"""Downloads one dataset as a job's collection does."""

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


def download(url: str, folder: str) -> None:
    """Prints on stderr how many seconds it took, from the request until the file is durable."""
    anyio.run(_download, url, Path(folder), backend_options={"use_uvloop": True})


async def _download(url: str, folder: Path) -> None:
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
