"""
A dataset on disk, and the proof that it is all that the platform holds.

Counters, totals and even items appear some seconds after a run's end. A download that begins after
that and is read to the end is the proof; what was read before is proven by one request behind its
last item.
"""

from __future__ import annotations

from contextlib import suppress

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.apify.policy.request_backoff import retry_pause_secs
from orchestrator.collector.item_download import ItemsDownload
from orchestrator.collector.item_writer import PLAIN
from orchestrator.collector.items_file import ItemsFile, items_name
from orchestrator.collector.ranges import fetch
from orchestrator.collector.sync_items import answer_part
from orchestrator.collector.totals import count_of
from orchestrator.errors import TransientError, TruncatedBody
from orchestrator.loop_clock import loop_time
from orchestrator.model.ids import DatasetId
from orchestrator.model.jobs import ItemsQuery
from orchestrator.model.proofs import FEWER, MORE, Proof, ProvenBy
from orchestrator.store.atomic_files import Files, Folder
from orchestrator.store.transfer_sizes import USUAL_SIZES, TransferSizes

DISAGREEMENT_SECS = 15.0
"""How long a file is downloaded again whose items are not as many as the platform counts."""

TRIES = 3
EXACT_FORMATS = frozenset({"jsonl", "json", "csv"})
"""Where a stored item that no filter drops is one item of the file for certain."""


class Datasets:
    """
    Downloads datasets of runs that have ended.

    Args:
        patience_secs: how long a download may make no progress before it is given up.
        settled_after_secs: how long ago those runs ended, at least.
    """

    def __init__(
        self,
        client: ApifyClient,
        files: Files,
        *,
        patience_secs: float,
        settled_after_secs: float,
        sizes: TransferSizes = USUAL_SIZES,
    ) -> None:
        self._client = client
        self._files = files
        self._patience_secs = patience_secs
        self._settled_after_secs = settled_after_secs
        self._sizes = sizes

    def download(
        self, folder: Folder, dataset_id: DatasetId, query: ItemsQuery, *, name: str | None = None
    ) -> ItemsDownload:
        """A download that has not begun."""
        return ItemsDownload(
            self._client,
            self._files,
            folder=folder,
            name=name or items_name(query),
            dataset_id=dataset_id,
            query=query,
            patience_secs=self._patience_secs,
            sizes=self._sizes,
        )

    async def fetch(
        self,
        folder: Folder,
        dataset_id: DatasetId,
        query: ItemsQuery,
        *,
        name: str | None = None,
        resumes: bool = True,
    ) -> ItemsFile:
        """
        Downloads a dataset; its file has its name then, unless `data` holds the bytes.

        Args:
            resumes: whether an earlier download may have left a part of the file.

        Raises:
            NotFound: the dataset does not exist any more.
            TransientError: the platform stays away, or does not send what it counts.
            DiskFull, OutputLost: files that are there are whole.

        Cancellation: nothing half written gets a final name.
        """
        began_at, repeats, is_last = loop_time(), 0, False
        while True:
            download = self.download(folder, dataset_id, query, name=name)
            try:
                items = await fetch(download, resumes=resumes, after_secs=self._settled_after_secs)
                # A download of plain JSON Lines continues where it is, and has waited already.
                if items.proof is not None or query == PLAIN or is_last:
                    items = _judged(items, dataset_id, query)
                    if items.data is None:
                        await download.publish()
                    return items
            # A file that does not match its counts is not worth continuing: `finally` deletes it.
            except TruncatedBody:
                raise
            # Kept, so that a later call or process continues where this one was.
            except (TransientError, anyio.get_cancelled_exc_class()):
                download.close()
                raise
            finally:
                download.discard()
            await anyio.sleep(retry_pause_secs(repeats))
            repeats += 1
            is_last = loop_time() - began_at > DISAGREEMENT_SECS

    async def fetch_file(
        self, folder: Folder, dataset_id: DatasetId, query: ItemsQuery, *, name: str
    ) -> ItemsFile:
        """As `fetch`, and saves the bytes too."""
        items = await self.fetch(folder, dataset_id, query, name=name)
        if items.data is not None:
            await self._files.save(folder, {name: items.data})
        return items

    async def check(
        self, dataset_id: DatasetId, query: ItemsQuery, items: ItemsFile
    ) -> ItemsFile | None:
        """
        A file that was downloaded earlier, with its proof; None when the platform holds more.

        Raises:
            NotFound: the dataset does not exist any more.
        """
        proof = items.proof
        # Proven when counts had settled: a second look could show nothing new.
        if proof is not None and proof.after_secs >= self._settled_after_secs:
            return items
        try:
            held = await count_behind(self._client, dataset_id, query, items.stored)
        except TransientError:
            # A download waits longer, and is a proof too.
            return None
        if held != items.stored:
            return None
        proof = Proof(by=ProvenBy.LOOK, after_secs=self._settled_after_secs, stored=items.stored)
        return items._replace(proof=proof, unproven=None)

    async def publish_answer(self, folder: Folder, query: ItemsQuery) -> bool:
        """Gives the items of a synchronous answer their final name; False when there are none."""
        return await self._files.publish_part(folder, items_name(query), part=answer_part(query))


def _judged(items: ItemsFile, dataset_id: DatasetId, query: ItemsQuery) -> ItemsFile:
    # More than counted: the count lags. Fewer: items are missing, or the format has rows that
    # cannot be counted for certain.
    if items.proof is not None:
        return items
    if items.stored > items.counted:
        return items._replace(unproven=MORE)
    if query.format in EXACT_FORMATS:
        raise TruncatedBody(
            f"dataset {dataset_id}: the platform counts {items.counted} items and gives "
            f"{items.stored}"
        )
    return items._replace(unproven=FEWER)


async def count_behind(
    client: ApifyClient, dataset_id: DatasetId, query: ItemsQuery, stored: int
) -> int:
    """
    How many items the platform holds, by one request behind the last of so many.

    Raises:
        NotFound: the dataset does not exist any more.
        TransientError: the platform stays away, or its answer broke off again and again.
    """
    for repeats in range(TRIES - 1):
        with suppress(TransientError):
            return await _count_behind(client, dataset_id, query, stored)
        await anyio.sleep(retry_pause_secs(repeats))
    return await _count_behind(client, dataset_id, query, stored)


async def _count_behind(
    client: ApifyClient, dataset_id: DatasetId, query: ItemsQuery, stored: int
) -> int:
    async with client.storages.stream_items(dataset_id, query, offset=stored, limit=1) as download:
        total = count_of(download)
        if total == stored and query.format == "jsonl" and not query.desc:
            # The total may be behind the items.
            total += bool((await download.read()).strip())
    return total
