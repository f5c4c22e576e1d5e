"""Datasets and key-value stores: what runs leave behind (API reference, "Storage")."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from functools import partial

from orchestrator.apify import models, urls
from orchestrator.apify.http.download import Download, Opening
from orchestrator.apify.models.decoding import check_of_items, reader_of
from orchestrator.apify.policy.rate_limits import Rate
from orchestrator.apify.policy.sender import NO_REFUSALS, Call, Sender
from orchestrator.apify.request_builder import RequestBuilder
from orchestrator.errors import NotFound
from orchestrator.model.ids import DatasetId, StoreId
from orchestrator.model.jobs import ItemsQuery

read_dataset = reader_of(lambda: models.Dataset)
read_datasets = reader_of(lambda: models.DatasetList)
read_keys = reader_of(lambda: models.KeyList)


class StorageEndpoints:
    """Downloads items and records, and deletes storages."""

    def __init__(self, requests: RequestBuilder, sender: Sender) -> None:
        self._requests = requests
        self._sender = sender

    def stream_items(
        self,
        dataset_id: DatasetId,
        query: ItemsQuery | None = None,
        *,
        offset: int = 0,
        limit: int | None = None,
    ) -> AbstractAsyncContextManager[Download]:
        """
        The items of a dataset, in the order of their insertion, as bytes of the asked format.

        Args:
            offset: items to skip.
            limit: None for all that there are.
        """
        items = query or ItemsQuery()
        path = f"/v2/datasets/{urls.segment(dataset_id)}"
        place = f"{path}/items{urls.items_query(items, offset, limit)}"
        # One odd 404 would lose items that are paid for: a refusal counts only when it is repeated.
        call = Call(self._requests.streamed(place), path, final=NO_REFUSALS)
        return Opening(partial(self._sender.open, call, check_of_items(items)))

    async def get_dataset(self, dataset_id: DatasetId) -> models.Dataset:
        """A dataset."""
        path = f"/v2/datasets/{urls.segment(dataset_id)}"
        return await self._sender.ask(Call(self._requests.small("GET", path), path), read_dataset)

    async def list_datasets(
        self, *, unnamed: bool = False, desc: bool = False, limit: int = 1000, offset: int = 0
    ) -> models.DatasetList:
        """
        One page of the account's datasets, the oldest first.

        Args:
            unnamed: those of runs too.
        """
        path = "/v2/datasets"
        pairs = [("limit", str(limit)), ("offset", str(offset))]
        pairs += [("desc", "true")] if desc else []
        pairs += [("unnamed", "true")] if unnamed else []
        request = self._requests.large(f"{path}{urls.query(pairs)}")
        return await self._sender.ask(Call(request, path), read_datasets)

    async def delete_dataset(self, dataset_id: DatasetId) -> None:
        """Deletes a dataset; one that is already deleted is not an error."""
        await self._delete(f"/v2/datasets/{urls.segment(dataset_id)}")

    def stream_record(
        self, store_id: StoreId, key: str, *, is_listed: bool = False
    ) -> AbstractAsyncContextManager[Download]:
        """
        A record of a key-value store, in its own content type, as it was stored.

        Args:
            is_listed: whether the record is known to exist.

        Raises, on entering:
            NotFound: there is no such record.
        """
        store = urls.segment(store_id)
        # Without `attachment`, the platform may alter HTML.
        place = f"/v2/key-value-stores/{store}/records/{urls.key_segment(key)}?attachment=true"
        # A listed record exists, so only a repeated 404 is believed.
        final = NO_REFUSALS if is_listed else (NotFound,)
        call = Call(self._requests.streamed(place), f"records {store}", Rate.RECORDS, final)
        return Opening(partial(self._sender.open, call))

    async def list_keys(
        self,
        store_id: StoreId,
        *,
        exclusive_start_key: str | None = None,
        limit: int = 1000,
        prefix: str | None = None,
    ) -> models.KeyList:
        """
        One page of a key-value store's keys, in the order of their bytes.

        Args:
            exclusive_start_key: the page begins after it.
        """
        path = f"/v2/key-value-stores/{urls.segment(store_id)}/keys"
        pairs = [("limit", str(limit))]
        if exclusive_start_key is not None:
            pairs.append(("exclusiveStartKey", exclusive_start_key))
        if prefix is not None:
            pairs.append(("prefix", prefix))
        request = self._requests.large(f"{path}{urls.query(pairs)}")
        return await self._sender.ask(Call(request, path, final=NO_REFUSALS), read_keys)

    async def delete_store(self, store_id: StoreId) -> None:
        """Deletes a key-value store; one that is already deleted is not an error."""
        await self._delete(f"/v2/key-value-stores/{urls.segment(store_id)}")

    async def _delete(self, path: str) -> None:
        with suppress(NotFound):
            # When a delete is sent twice, the second one finds nothing.
            await self._sender.ask(Call(self._requests.small("DELETE", path), path), bytes)
