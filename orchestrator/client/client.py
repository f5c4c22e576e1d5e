"""
The client: every endpoint that running Actors and tasks needs, as plain methods.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from types import TracebackType
from typing import Self, TypeVar, cast

import anyio
import orjson
from anyio import to_thread
from anyio.lowlevel import current_token

from orchestrator.client import endpoints, environment, wire
from orchestrator.client.direct_transport import DirectTransport
from orchestrator.client.download import Download, Opening
from orchestrator.client.encodings import ACCEPTED, compress
from orchestrator.client.options import ClientOptions, root_of
from orchestrator.client.pacing import Rate
from orchestrator.client.reading import read_run, reader_of
from orchestrator.client.refusals import describe_page
from orchestrator.client.sending import Call, ClientStats, Sender
from orchestrator.client.session_transport import SessionTransport
from orchestrator.client.transport import Deadlines, Request, Response, Transport
from orchestrator.errors import InputRejected, ServerFault
from orchestrator.model.ids import DatasetId, Mark, RunId, StoreId
from orchestrator.model.jobs import ItemsQuery, RunOptions, Target, TargetKind

T = TypeVar("T")

SYNC_WAIT_SECS = 300
"""
How long the platform holds a synchronous start (API reference, "Run Actor synchronously").
"""

LOG_SILENCE_SECS = 600.0
"""
How long a log that is followed may stay without a line before its connection counts as dead.
"""

COMPRESS_ELSEWHERE_BYTES = 128 * 1024

read_runs = reader_of(wire.RunList)
read_actor = reader_of(wire.Actor)
read_task = reader_of(wire.Task)
read_build = reader_of(wire.Build)
read_dataset = reader_of(wire.Dataset)
read_datasets = reader_of(wire.DatasetList)
read_keys = reader_of(wire.KeyList)
read_account = reader_of(wire.Account)
read_limits = reader_of(wire.AccountLimits)
read_usage = reader_of(wire.MonthlyUsage)


class ApifyClient:
    """
    A client of the Apify API, or of anything that speaks it; an async context manager.

    All methods may be called from many tasks at once. Each raises `PlatformError`s, which carry
    method, path, status and Apify's error type: a `TransientError` after having repeated for
    `away_secs` what may be repeated, a `PermanentError` or `NoRoom` at once.

    Args:
        options: where and how.
        transport: what carries requests; real HTTP when None.
        rng: where the jitter of pauses comes from.

    Cancellation: a cancelled call leaves the client usable. What a start has done by then is
    unknown.
    """

    def __init__(
        self,
        options: ClientOptions,
        *,
        transport: Transport | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._options = options
        self._root = root_of(options.base_url)
        self._transport = transport or real_transport(self._root)
        # Jitter needs no cryptographic randomness.
        self._rng = rng or random.Random()  # noqa: S311
        self._headers = _headers(options, "identity")
        self._wide_headers = _headers(options, ACCEPTED)
        self._small = Deadlines(
            connect=options.connect_timeout_secs,
            first_byte=options.first_byte_timeout_secs,
            silence=options.silence_timeout_secs,
            whole=options.whole_timeout_secs,
        )
        self._streamed = self._small._replace(whole=None)
        self._polls = {
            secs: self._small._replace(
                first_byte=options.first_byte_timeout_secs + secs,
                whole=options.whole_timeout_secs + secs,
            )
            for secs in range(1, endpoints.MAX_WAIT_SECS + 1)
        } | {0: self._small}
        self._starts = {
            secs: self._small._replace(first_byte=whole, whole=whole)
            for secs in self._polls
            for whole in (options.start_deadline_secs + secs,)
        }
        self._held = self._streamed._replace(
            first_byte=SYNC_WAIT_SECS + options.start_deadline_secs
        )

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        # The loop's own clock: anyio.current_time() looks the loop up again on each call.
        clock = getattr(current_token().native_token, "time", anyio.current_time)
        self._sender = Sender(
            self._transport,
            self._options,
            rng=self._rng,
            now=cast("Callable[[], float]", clock),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    @property
    def base_url(self) -> str:
        """
        The platform's address, without `/v2`.
        """
        return self._root

    @property
    def stats(self) -> ClientStats:
        """
        What was sent so far.
        """
        return self._sender.stats

    # Starting runs

    async def start_run(
        self,
        target: Target,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        options: RunOptions | None = None,
        mark: Mark | None = None,
        wait_secs: int = 0,
    ) -> wire.Run:
        """
        Starts a run; one POST.

        Args:
            body: the input; None for none, or for a task's own.
            mark: goes into the User-Agent, by which the run is found should the answer be lost.
            wait_secs: how long the platform may hold its answer for the run's end, 0 to 60.

        Returns:
            the run, which may or may not have ended.

        Raises:
            StartUnconfirmed: the run may have been started; the request is not repeated.
            NoRoom: the account has no room for it now.
            InputRejected, NotFound, NotAuthorized, PlanLimitReached: it will not be started.
            RateLimited, ConnectionLost: it was not started, and could not be for
                `start_deadline_secs`.
        """
        options = options or RunOptions()
        path = endpoints.target_path(target, self._options.path_prefix)
        query = endpoints.start_query(target, options, wait_secs)
        request = await self._start_request(
            "POST", f"{path}/runs{query}", body, content_type, mark, self._starts[wait_secs]
        )
        return await self._sender.start(Call(request, f"start {path}", Rate.STARTS), read_run)

    async def resurrect_run(
        self, run_id: RunId, options: RunOptions | None = None, *, mark: Mark | None = None
    ) -> wire.Run:
        """
        Lets a run that has ended go on, in its own storages; sent and confirmed like a start.

        Args:
            options: None for those that the run had.

        Raises:
            StartUnconfirmed: the run may go on; `get_run` tells.
            NoRoom, PermanentError, RateLimited, ConnectionLost: as for a start.
        """
        query = endpoints.resurrect_query(options or RunOptions())
        path = f"/v2/actor-runs/{endpoints.segment(run_id)}"
        request = await self._start_request(
            "POST", f"{path}/resurrect{query}", None, "", mark, self._starts[0]
        )
        return await self._sender.start(Call(request, path), read_run)

    def run_sync(
        self,
        target: Target,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        options: RunOptions | None = None,
        output_record_key: str | None = None,
        mark: Mark | None = None,
    ) -> AbstractAsyncContextManager[Download]:
        """
        Starts a run and waits for its end; the answer is its output record.

        One request that is never repeated: a POST, or a GET for a task without a body. A run
        without that record gives an empty body. The answer does not tell the run's id.

        Raises, on entering:
            StartUnconfirmed: the run may have been started, or takes longer than 300 seconds: find
                it by its mark. An error while the body is read leaves the same question.
            RunFailed: it ended, and did not succeed.
            NoRoom, InputRejected, NotFound, NotAuthorized, PlanLimitReached: it was not started.
            RateLimited, ConnectionLost: it was not started, and may be tried again.
        """
        options = options or RunOptions()
        by_get = body is None and target.kind is TargetKind.TASK
        query = endpoints.sync_query(
            target, options, by_get=by_get, output_record_key=output_record_key
        )
        return self._hold(target, f"run-sync{query}", by_get, body, content_type, mark)

    def run_sync_items(
        self,
        target: Target,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        options: RunOptions | None = None,
        query: ItemsQuery | None = None,
        offset: int = 0,
        limit: int | None = None,
        mark: Mark | None = None,
    ) -> AbstractAsyncContextManager[Download]:
        """
        Starts a run and waits for its end; the answer is the items of its default dataset.

        Raises, on entering: as `run_sync`.
        """
        options = options or RunOptions()
        by_get = body is None and target.kind is TargetKind.TASK
        text = endpoints.sync_query(
            target,
            options,
            by_get=by_get,
            items=query or ItemsQuery(),
            offset=offset,
            limit=limit,
        )
        place = f"run-sync-get-dataset-items{text}"
        return self._hold(target, place, by_get, body, content_type, mark)

    async def validate_input(
        self, target: Target, body: bytes, *, build: str | None = None
    ) -> None:
        """
        Has the platform check an input against an Actor's input schema; starts nothing.

        Args:
            target: an Actor; there is no such endpoint for tasks.
            body: a JSON object.
            build: tag or number; `latest` when None.

        Raises:
            InputRejected: the input does not fit; the message says where.
            NotFound, NotAuthorized, TransientError.
        """
        if target.kind is not TargetKind.ACTOR:
            raise InputRejected("only the input of an Actor can be validated, not a task's")
        endpoints.check_body(body)
        path = endpoints.target_path(target, self._options.path_prefix)
        query = endpoints.query([("build", build)] if build else [])
        headers, packed = await self._packed(body, "application/json", self._headers)
        request = Request(
            "POST", f"{self._root}{path}/validate-input{query}", headers, self._small, packed
        )
        await self._sender.ask(Call(request, path), read_validity)

    # Runs

    async def get_run(self, run_id: RunId, *, wait_secs: int = 0) -> wire.Run:
        """
        A run as it is now.

        Args:
            wait_secs: how long the platform may hold its answer for the run's end, 0 to 60; a
                run that goes on after it is a normal answer.
        """
        path = f"/v2/actor-runs/{endpoints.segment(run_id)}"
        url = f"{self._root}{path}"
        if wait_secs:
            url = f"{url}?waitForFinish={endpoints.checked_wait(wait_secs)}"
        request = Request("GET", url, self._headers, self._polls[wait_secs])
        return await self._sender.ask(Call(request, path), read_run)

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
    ) -> wire.RunList:
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
        return await self._get(path, query, read_runs, self._wide_headers)

    async def abort_run(self, run_id: RunId, *, gracefully: bool = False) -> wire.Run:
        """
        Aborts a run; one that has ended stays as it is.

        Args:
            gracefully: lets it save its state first, for 30 seconds at most.
        """
        path = f"/v2/actor-runs/{endpoints.segment(run_id)}"
        query = "?gracefully=true" if gracefully else ""
        request = Request("POST", f"{self._root}{path}/abort{query}", self._headers, self._small)
        return await self._sender.ask(Call(request, path), read_run)

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

    # Storages

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
        check = None if items.format == "html" else _refuse_page
        return self._stream(f"{path}/items", text, path, check=check)

    async def get_dataset(self, dataset_id: DatasetId) -> wire.Dataset:
        """
        A dataset; its counts lag a few seconds behind its items.
        """
        path = f"/v2/datasets/{endpoints.segment(dataset_id)}"
        return await self._get(path, "", read_dataset)

    async def list_datasets(
        self, *, unnamed: bool = False, desc: bool = False, limit: int = 1000, offset: int = 0
    ) -> wire.DatasetList:
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

    def stream_record(self, store_id: StoreId, key: str) -> AbstractAsyncContextManager[Download]:
        """
        A record of a key-value store, in its own content type, as it was stored.

        Raises, on entering:
            NotFound: there is no such record.
        """
        store = endpoints.segment(store_id)
        path = f"/v2/key-value-stores/{store}/records/{endpoints.segment(key)}"
        # Without `attachment`, the platform may alter HTML.
        return self._stream(path, "?attachment=true", f"records {store}", rate=Rate.RECORDS)

    async def list_keys(
        self,
        store_id: StoreId,
        *,
        exclusive_start_key: str | None = None,
        limit: int = 1000,
        prefix: str | None = None,
    ) -> wire.KeyList:
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
        return await self._get(f"{path}/keys", query, read_keys, self._wide_headers)

    # Actors, tasks, the account

    async def get_actor(self, actor_id: str) -> wire.Actor:
        """
        An Actor, by id, `owner/name` or `owner~name`.
        """
        path = f"/v2/{self._options.path_prefix}/{endpoints.reference(actor_id)}"
        return await self._get(path, "", read_actor, self._wide_headers)

    async def get_task(self, task_id: str) -> wire.Task:
        """
        A task, by id, `owner/name` or `owner~name`.
        """
        path = f"/v2/actor-tasks/{endpoints.reference(task_id)}"
        return await self._get(path, "", read_task, self._wide_headers)

    async def get_target(self, target: Target) -> wire.Actor | wire.Task:
        """
        What a job runs.
        """
        if target.kind is TargetKind.ACTOR:
            return await self.get_actor(target.id)
        return await self.get_task(target.id)

    async def get_build(self, build_id: str, *, wait_secs: int = 0) -> wire.Build:
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

    async def get_me(self) -> wire.Account:
        """
        The account that the token belongs to: the cheapest check of a token.
        """
        return await self._get("/v2/users/me", "", read_account)

    async def get_limits(self) -> wire.AccountLimits:
        """
        The account's limits and how much of them is used; a snapshot.
        """
        return await self._get("/v2/users/me/limits", "", read_limits)

    async def get_monthly_usage(self, day: date | None = None) -> wire.MonthlyUsage:
        """
        What was used in a billing cycle.

        Args:
            day: any day of the cycle; today when None.
        """
        query = endpoints.query([("date", day.isoformat())] if day else [])
        return await self._get("/v2/users/me/usage/monthly", query, read_usage, self._wide_headers)

    # How requests are made

    async def _get(
        self,
        path: str,
        query: str,
        read: Callable[[bytes], T],
        headers: Mapping[str, str] | None = None,
    ) -> T:
        request = Request(
            "GET", f"{self._root}{path}{query}", headers or self._headers, self._small
        )
        return await self._sender.ask(Call(request, path), read)

    def _stream(
        self,
        path: str,
        query: str,
        resource: str,
        *,
        rate: Rate = Rate.DEFAULT,
        deadlines: Deadlines | None = None,
        check: Callable[[Response], None] | None = None,
    ) -> Opening:
        request = Request(
            "GET", f"{self._root}{path}{query}", self._wide_headers, deadlines or self._streamed
        )
        call = Call(request, resource, rate)
        return Opening(lambda: self._sender.open(call, check))

    def _hold(
        self,
        target: Target,
        place: str,
        by_get: bool,
        body: bytes | None,
        content_type: str,
        mark: Mark | None,
    ) -> Opening:
        path = endpoints.target_path(target, self._options.path_prefix)

        async def open_exchange() -> tuple[AbstractAsyncContextManager[Response], Response]:
            request = await self._start_request(
                "GET" if by_get else "POST",
                f"{path}/{place}",
                body,
                content_type,
                mark,
                self._held,
                accepted=ACCEPTED,
            )
            call = Call(request, f"start {path}", Rate.STARTS)
            return await self._sender.start_and_hold(call, SYNC_WAIT_SECS)

        return Opening(open_exchange)

    async def _start_request(
        self,
        method: str,
        place: str,
        body: bytes | None,
        content_type: str,
        mark: Mark | None,
        deadlines: Deadlines,
        *,
        accepted: str = "identity",
    ) -> Request:
        """
        A request that starts something.
        """
        endpoints.check_body(body)
        headers = dict(self._headers)
        headers["Accept-Encoding"] = accepted
        if mark is not None:
            headers["User-Agent"] = f"{self._options.user_agent} (attempt {mark})"
        if body is not None:
            headers, body = await self._packed(body, content_type, headers)
        return Request(method, f"{self._root}{place}", headers, deadlines, body)

    async def _packed(
        self, body: bytes, content_type: str, headers: Mapping[str, str]
    ) -> tuple[dict[str, str], bytes]:
        """
        A body and its headers, compressed where that helps.
        """
        complete = {**headers, "Content-Type": content_type}
        if len(body) > COMPRESS_ELSEWHERE_BYTES:
            packed = await to_thread.run_sync(compress, body)
        else:
            packed = compress(body)
        if packed is None:
            return complete, body
        complete["Content-Encoding"] = "gzip"
        return complete, packed


def real_transport(root: str) -> Transport:
    """
    Real HTTP to a platform, through the proxy that the environment names for it, if any.
    """
    if environment.proxy_for(root) is not None:
        return SessionTransport(root)
    return DirectTransport(root)


def _headers(options: ClientOptions, accepted: str) -> dict[str, str]:
    headers = {
        "Accept": "*/*",
        "Accept-Encoding": accepted,
        "User-Agent": options.user_agent,
    }
    if options.token is not None:
        headers["Authorization"] = f"Bearer {options.token.get_secret_value()}"
    return headers


def read_validity(body: bytes) -> None:
    """
    Reads the answer of validate-input, which is a success when it is there at all.
    """
    try:
        answer = orjson.loads(body)
    except ValueError:
        raise ServerFault(f"the answer is {describe_page(body)}") from None
    if not isinstance(answer, dict) or answer.get("valid") is not True:
        raise ServerFault("the answer does not say whether the input is valid")


def _refuse_page(response: Response) -> None:
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise ServerFault("an HTML page came instead of items, probably from a gateway")
