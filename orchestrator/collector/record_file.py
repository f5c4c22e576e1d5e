"""One record or log to one file, streamed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import count

import anyio

from orchestrator.apify import Download
from orchestrator.apify.policy.request_backoff import retry_pause_secs
from orchestrator.errors import TransientError, TruncatedBody
from orchestrator.loop_clock import loop_time
from orchestrator.store.atomic_files import Files, Folder
from orchestrator.store.transfer_sizes import USUAL_SIZES, TransferSizes


class EndlessBody(TruncatedBody):
    """A body that does not end; another request would not help."""


async def fetch_blob(
    files: Files,
    folder: Folder,
    name: Callable[[Download], str],
    open_download: Callable[[], AbstractAsyncContextManager[Download]],
    *,
    patience_secs: float,
    sizes: TransferSizes = USUAL_SIZES,
) -> None:
    """
    Saves the body that `open_download` gives, beginning again when it breaks.

    Args:
        name: of the file, from the answer's headers.
        patience_secs: how long to try again after the first break.

    Raises:
        TransientError: it kept breaking.
        NotFound, DiskFull, OutputLost.
    """
    give_up_at = None
    for repeats in count():
        async with open_download() as download:
            try:
                await save_blob(files, folder, name(download), download, sizes=sizes)
            except EndlessBody:
                raise
            except TransientError:
                # Counts from the first break: a long body that arrives steadily has no deadline.
                give_up_at = give_up_at or loop_time() + patience_secs
                if loop_time() >= give_up_at:
                    raise
            else:
                return
        await anyio.sleep(retry_pause_secs(repeats))


async def save_blob(
    files: Files,
    folder: Folder,
    name: str,
    download: Download,
    *,
    keeps_empty: bool = True,
    sizes: TransferSizes = USUAL_SIZES,
) -> bool:
    """
    Saves one body, which is given only once, under its final name when it is whole.

    Args:
        keeps_empty: whether an empty body is a file of 0 bytes.

    Returns:
        whether there was anything.

    Raises:
        TransientError: it broke; nothing has appeared.
        DiskFull, OutputLost.
    """
    chunks = download.chunks()
    first = bytearray()
    async for chunk in chunks:
        first += chunk
        if len(first) > sizes.small_bytes:
            break
    else:
        if first or keeps_empty:
            await files.save(folder, {name: bytes(first)})
        return bool(first)
    part = await files.open_part(folder, name)
    try:
        await part.append(bytes(first))
        size_bytes = len(first)
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > sizes.most_unknown_bytes and download.length is None:
                most = f"{sizes.most_unknown_bytes:,}"
                raise EndlessBody(f"{name} is longer than {most} bytes: no end")
            await part.append(chunk)
        await part.publish()
    finally:
        part.discard()
    return True
