"""One item that is far larger than the memory allows."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import pytest
from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions
from orchestrator.collector import ranges
from orchestrator.collector.item_download import ItemsDownload
from orchestrator.group_worker import InlineWorker
from orchestrator.model.ids import DatasetId
from orchestrator.model.jobs import ItemsQuery
from orchestrator.store.atomic_files import Files
from orchestrator.store.group_flush import flush_group
from tests.client.raw_server import answering, http, raw_server

MBYTE = 1024**2
ITEM_MBYTES = 256
MORE_MBYTES = 64


def compressed() -> bytes:
    """An item of 250 MB in one megabyte, and a small one."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    pieces = [packer.compress(b'{"a":"')]
    pieces += [packer.compress(b"x" * MBYTE) for _ in range(ITEM_MBYTES)]
    return b"".join([*pieces, packer.compress(b'"}\n{"a":1}\n'), packer.flush()])


def peak_mbytes() -> float:
    """The most memory that this process has used since the last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) / 1024


def reset_peak() -> float:
    """Resets that figure; returns the current use."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except PermissionError:
        pytest.skip("a platform that was served in this process has closed its memory to others")
    return peak_mbytes()


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory can be reset on Linux only")
async def test_item_of_any_size_is_written_in_bounded_memory(tmp_path: Path) -> None:
    """Large items from a few bytes of gzip are written while they are decompressed."""
    answer = http(
        compressed(),
        Content_Encoding="gzip",
        X_Apify_Pagination_Total="2",
        X_Apify_Pagination_Count="2",
    )
    async with raw_server(answering(answer)) as server:
        options = ClientOptions(base_url=server.url, token=SecretStr("t0ken"))
        async with ApifyClient(options) as client:
            download = ItemsDownload(
                client,
                Files(InlineWorker(flush_group)),
                folder=tmp_path,
                name="items.jsonl",
                dataset_id=DatasetId("d"),
                query=ItemsQuery(),
            )
            before = reset_peak()
            file = await ranges.fetch(download)
            more = peak_mbytes() - before
            download.discard()
    assert (file.items, file.size_bytes) == (2, ITEM_MBYTES * MBYTE + 17)
    assert more < MORE_MBYTES
