"""What is safe to repeat: looking at what there is, aborting and deleting."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from datetime import date, datetime

from orchestrator.apify import endpoints, models
from orchestrator.apify.http.download import Download
from orchestrator.apify.http.transport import Request
from orchestrator.apify.models.decoding import check_of_items, read_run, reader_of
from orchestrator.apify.policy.rate_limits import Rate
from orchestrator.apify.policy.sender import ALL_BUT_TOKEN_REFUSALS, NO_REFUSALS, Call
from orchestrator.apify.requests import Requester
from orchestrator.errors import NotFound
from orchestrator.model.ids import DatasetId, RunId, StoreId
from orchestrator.model.jobs import ItemsQuery, Target, TargetKind

LOG_SILENCE_SECS = 600.0
"""How long a log that is followed may stay without a line before its connection counts as dead."""

read_runs = reader_of(models.RunList)
read_actor = reader_of(models.Actor)
read_task = reader_of(models.Task)
read_build = reader_of(models.Build)
read_dataset = reader_of(models.Dataset)
read_datasets = reader_of(models.DatasetList)
read_keys = reader_of(models.KeyList)
read_account = reader_of(models.Account)
read_limits = reader_of(models.AccountLimits)
read_usage = reader_of(models.MonthlyUsage)


class Reads(Requester):
    """The methods of `ApifyClient` that may be repeated."""

    async def get_run(
        self, run_id: RunId, *, wait_secs: int = 0, insist: bool = False
    ) -> models.Run:
        """
        A run as it is now.

        Args:
            insist: whether each refusal, and not only that of the token, counts only when the
                platform repeats it for 20 seconds.
            wait_secs: how long the platform may hold its answer for the run's end, 0 to 60; a
                run that goes on after it is a normal answer.
        """
        path = f"/v2/actor-runs/{endpoints.segment(run_id)}"
        url = f"{self._root}{path}"
        if wait_secs:
            url = f"{url}?waitForFinish={endpoints.checked_wait(wait_secs)}"
        request = Request("GET", url, self._headers, self._polls[wait_secs])
        final = NO_REFUSALS if insist else ALL_BUT_TOKEN_REFUSALS
        async with self._turns if wait_secs else nullcontext():
            return await self._sender.ask(Call(request, path, final=final), read_run)

    async def list_runs(
        self,
        *,
        target: Target | None = None,
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        status: Sequence[str] = (),
        desc: bool = False,
        limit: int = 1000,
        offset: int = 0,
    ) -> models.RunList:
        """
        One page of the account's runs, or of those of one Actor or task, the oldest first.

        Args:
            started_after, started_before: both ends included; not for a task's runs.
            status: any of these; all when empty.
            desc: the newest first; then pages shift while runs are started.
        """
        path = (
            f"{endpoints.target_path(target, self._options.path_prefix)}/runs"
            if target
            else "/v2/actor-runs"
        )
        query = endpoints.list_query(
            target=target,
            started_after=started_after,
            started_before=started_before,
            status=status,
            desc=desc,
            offset=offset,
            limit=limit,
        )
        # A token may be refused some lists for good; that it is not valid is to be sure.
        return await self._get(
            path, query, read_runs, self._wide_headers, final=ALL_BUT_TOKEN_REFUSALS
        )

    async def abort_run(self, run_id: RunId, *, gracefully: bool = False) -> models.Run:
        """
        Aborts a run; one that has ended stays as it is.

        Args:
            gracefully: lets it save its state first, for 30 seconds at most.
        """
        path = f"/v2/actor-runs/{endpoints.segment(run_id)}"
        query = "?gracefully=true" if gracefully else ""
        request = Request("POST", f"{self._root}{path}/abort{query}", self._headers, self._small)
        return await self._sender.ask(Call(request, path, final=NO_REFUSALS), read_run)

    async def delete_dataset(self, dataset_id: DatasetId) -> None:
        """Deletes a dataset; one that is gone already is no error."""
        await self._delete(f"/v2/datasets/{endpoints.segment(dataset_id)}")

    async def delete_store(self, store_id: StoreId) -> None:
        """Deletes a key-value store; one that is gone already is no error."""
        await self._delete(f"/v2/key-value-stores/{endpoints.segment(store_id)}")

    async def _delete(self, path: str) -> None:
        request = Request("DELETE", f"{self._root}{path}", self._headers, self._small)
        with suppress(NotFound):
            # Of two that are sent, the second finds nothing.
            await self._sender.ask(Call(request, path), bytes)

    def stream_log(
        self, run_id: RunId, *, follow: bool = False, raw: bool = False
    ) -> AbstractAsyncContextManager[Download]:
        """
        The log of a run (or of a build, by its id), as text.

        Args:
            follow: goes on until the run ends.
            raw: with the colour codes that the platform leaves out otherwise.
        """
        path = f"/v2/logs/{endpoints.segment(run_id)}"
        pairs = [("stream", "true")] if follow else []
        pairs += [("raw", "true")] if raw else []
        deadlines = self._streamed
        if follow:
            deadlines = deadlines._replace(first_byte=LOG_SILENCE_SECS, silence=LOG_SILENCE_SECS)
        return self._stream(path, endpoints.query(pairs), path, deadlines=deadlines)

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
        path = f"/v2/datasets/{endpoints.segment(dataset_id)}"
        text = endpoints.items_query(items, offset, limit)
        check = check_of_items(items)
        return self._stream(f"{path}/items", text, path, check=check)

    async def get_dataset(self, dataset_id: DatasetId) -> models.Dataset:
        """A dataset; its counts lag a few seconds behind its items."""
        path = f"/v2/datasets/{endpoints.segment(dataset_id)}"
        return await self._get(path, "", read_dataset)

    async def list_datasets(
        self, *, unnamed: bool = False, desc: bool = False, limit: int = 1000, offset: int = 0
    ) -> models.DatasetList:
        """
        One page of the account's datasets, the oldest first.

        Args:
            unnamed: those of runs too.
        """
        pairs = [("limit", str(limit)), ("offset", str(offset))]
        pairs += [("desc", "true")] if desc else []
        pairs += [("unnamed", "true")] if unnamed else []
        query = endpoints.query(pairs)
        return await self._get("/v2/datasets", query, read_datasets, self._wide_headers)

    def stream_record(
        self, store_id: StoreId, key: str, *, is_listed: bool = False
    ) -> AbstractAsyncContextManager[Download]:
        """
        A record of a key-value store, in its own content type, as it was stored.

        Args:
            is_listed: whether the record is known to be there.

        Raises, on entering:
            NotFound: there is no such record.
        """
        store = endpoints.segment(store_id)
        path = f"/v2/key-value-stores/{store}/records/{endpoints.key_segment(key)}"
        # Without `attachment`, the platform may alter HTML.
        return self._stream(
            path,
            "?attachment=true",
            f"records {store}",
            rate=Rate.RECORDS,
            final=NO_REFUSALS if is_listed else (NotFound,),
        )

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
        path = f"/v2/key-value-stores/{endpoints.segment(store_id)}"
        pairs = [("limit", str(limit))]
        if exclusive_start_key is not None:
            pairs.append(("exclusiveStartKey", exclusive_start_key))
        if prefix is not None:
            pairs.append(("prefix", prefix))
        query = endpoints.query(pairs)
        return await self._get(
            f"{path}/keys", query, read_keys, self._wide_headers, final=NO_REFUSALS
        )

    async def get_actor(self, actor_id: str) -> models.Actor:
        """An Actor, by id, `owner/name` or `owner~name`."""
        path = f"/v2/{self._options.path_prefix}/{endpoints.reference(actor_id)}"
        return await self._get(path, "", read_actor, self._wide_headers)

    async def get_task(self, task_id: str) -> models.Task:
        """A task, by id, `owner/name` or `owner~name`."""
        path = f"/v2/actor-tasks/{endpoints.reference(task_id)}"
        return await self._get(path, "", read_task, self._wide_headers)

    async def get_target(self, target: Target) -> models.Actor | models.Task:
        """What a job runs."""
        if target.kind is TargetKind.ACTOR:
            return await self.get_actor(target.id)
        return await self.get_task(target.id)

    async def get_build(self, build_id: str, *, wait_secs: int = 0) -> models.Build:
        """
        A build.

        Args:
            wait_secs: how long the platform may hold its answer for the build's end, 0 to 60.
        """
        path = f"/v2/actor-builds/{endpoints.segment(build_id)}"
        query = f"?waitForFinish={endpoints.checked_wait(wait_secs)}" if wait_secs else ""
        request = Request(
            "GET", f"{self._root}{path}{query}", self._wide_headers, self._polls[wait_secs]
        )
        return await self._sender.ask(Call(request, path), read_build)

    async def get_me(self) -> models.Account:
        """The account that the token belongs to: the cheapest check of a token."""
        return await self._get("/v2/users/me", "", read_account)

    async def get_limits(self) -> models.AccountLimits:
        """The account's limits and how much of them is used; a snapshot."""
        return await self._get("/v2/users/me/limits", "", read_limits)

    async def get_monthly_usage(self, day: date | None = None) -> models.MonthlyUsage:
        """
        What was used in a billing cycle.

        Args:
            day: any day of the cycle; today when None.
        """
        query = endpoints.query([("date", day.isoformat())] if day else [])
        return await self._get("/v2/users/me/usage/monthly", query, read_usage, self._wide_headers)
