"""
The calls of the Apify API that a batch runner makes, typed.

Reads and calls that may be repeated are repeated until they succeed, are refused for good, or the
platform has been away for too long. A start is sent once: whoever asked for it decides what comes
next.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import TracebackType
from typing import Generic, Self, TypeVar

import anyio
import structlog
from pydantic import BaseModel, SecretStr, ValidationError

from orchestrator import __version__
from orchestrator.client import wire
from orchestrator.client.backoff import pause_secs
from orchestrator.client.pacing import (
    DEFAULT_PER_SEC,
    RECORDS_PER_SEC,
    STARTS_PER_SEC,
    Pacer,
)
from orchestrator.client.queries import (
    Parameter,
    items_parameters,
    run_parameters,
    segment,
    shown,
    target_path,
    with_query,
)
from orchestrator.client.refusals import error_of
from orchestrator.client.transport import (
    AiohttpTransport,
    Answer,
    Download,
    Request,
    Transport,
)
from orchestrator.errors import (
    ConnectionLost,
    PlatformError,
    RateLimited,
    ServerFault,
    StartUnconfirmed,
    TransientError,
)
from orchestrator.model.ids import DatasetId, Mark, RunId, StoreId
from orchestrator.model.jobs import ItemsQuery, RunOptions, Target

T = TypeVar("T")

ERROR_BODY_BYTES = 64 * 1024
JSON_BODY_BYTES = 64 * 1024 * 1024
LONGEST_WAIT_SECS = 60


class Envelope(BaseModel, Generic[T]):
    """
    `{"data": …}`, around nearly every answer.
    """

    data: T


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """
    Where the platform is and how patient the client is. All times are in seconds.

    Attributes:
        base_url: with or without a slash and `/v2` at its end.
        path_prefix: `acts`, as in the API reference, or `actors`, its newer name.
        connect_timeout_secs: for a connection to come about.
        answer_timeout_secs: silence before an answer begins, beyond a wait that was asked for.
        silence_timeout_secs: silence in the middle of a body.
        start_deadline_secs: for a start as a whole, beyond the wait that it asks for.
        away_secs: how long a call that may be repeated goes on without success.
    """

    base_url: str
    token: SecretStr | None
    path_prefix: str = "acts"
    user_agent: str = f"orchestrator/{__version__}"
    connect_timeout_secs: float = 10.0
    answer_timeout_secs: float = 30.0
    silence_timeout_secs: float = 60.0
    start_deadline_secs: float = 30.0
    away_secs: float = 3600.0


@dataclass(slots=True)
class ClientStats:
    """
    What a client has sent so far; `retries` are those of `requests` that repeat another.
    """

    requests: int = 0
    retries: int = 0
    refused_by_rate: int = 0


class ApifyClient:
    """
    A client of one account, as an async context manager.

    Args:
        transport: sends the requests; aiohttp by default.
        chance: random numbers from 0 to 1.

    Every method raises the classes of `PlatformError`: PermanentError when repeating changes
    nothing, TransientError when the platform was away for longer than `away_secs`.
    """

    def __init__(
        self,
        options: ClientOptions,
        *,
        transport: Transport | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.base_url = options.base_url.rstrip("/").removesuffix("/v2")
        self.stats = ClientStats()
        self._options = options
        self._chance = chance
        self._pacer = Pacer()
        self._log = structlog.get_logger()
        self._transport: Transport = transport or AiohttpTransport(
            base_url=f"{self.base_url}/v2",
            token=options.token,
            user_agent=options.user_agent,
            connect_secs=options.connect_timeout_secs,
            silence_secs=options.silence_timeout_secs,
        )

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def start_run(
        self,
        target: Target,
        *,
        body: bytes | None,
        content_type: str = "application/json",
        options: RunOptions,
        mark: Mark | None = None,
        wait_secs: int = 0,
    ) -> wire.Run:
        """
        Starts a run (API reference, "Run Actor", "Run task"). One request, never repeated.

        Args:
            body: the input; None for none, or for the task's own.
            mark: goes into the `User-Agent`, which the platform keeps in `meta.userAgent`.
            wait_secs: how long the platform may hold the answer until the run ends, 0 to 60.

        Raises:
            StartUnconfirmed: the answer was lost; the run may go on.
            RateLimited, NoRoom, PermanentError: refused, there is no run.
            ConnectionLost: nothing was sent (`sent` is False), there is no run.
        """
        parameters = [*run_parameters(options)]
        if wait_secs:
            parameters.append(("waitForFinish", str(wait_secs)))
        path = target_path(target, self._options.path_prefix)
        return await self._start(
            target, f"{path}/runs", parameters, body, content_type, mark, wait_secs
        )

    async def get_run(self, run_id: RunId, *, wait_secs: int = 0) -> wire.Run:
        """
        A run as it stands (API reference, "Get run").

        Args:
            wait_secs: how long the platform may hold the answer until the run ends, 0 to 60.
        """
        parameters = [("waitForFinish", str(wait_secs))] if wait_secs else []
        path = with_query(f"/actor-runs/{segment(run_id)}", parameters)
        return await self._read(path, Envelope[wire.Run], wait_secs=wait_secs)

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
        A page of the runs of the account, or of one Actor or task, sorted by start.

        Args:
            started_after, started_before: inclusive; a task's list has no such filters.
            limit: at most 1000.
        """
        wanted = {
            "startedAfter": started_after,
            "startedBefore": started_before,
            "status": ",".join(status) or None,
            "desc": desc or None,
            "limit": limit,
            "offset": offset or None,
        }
        parameters = [(name, shown(value)) for name, value in wanted.items() if value is not None]
        path = (
            "/actor-runs"
            if target is None
            else f"{target_path(target, self._options.path_prefix)}/runs"
        )
        return await self._read(with_query(path, parameters), Envelope[wire.RunList])

    async def abort_run(self, run_id: RunId, *, gracefully: bool = False) -> wire.Run:
        """
        Aborts a run (API reference, "Abort run"); a run that has ended stays as it is.

        Args:
            gracefully: tells the Actor first and gives it 30 s.
        """
        path = with_query(
            f"/actor-runs/{segment(run_id)}/abort", [("gracefully", shown(gracefully))]
        )
        return await self._read(path, Envelope[wire.Run], method="POST")

    async def get_dataset(self, dataset_id: DatasetId) -> wire.Dataset:
        """
        A dataset's description; its counters may lag some seconds.
        """
        return await self._read(f"/datasets/{segment(dataset_id)}", Envelope[wire.Dataset])

    @asynccontextmanager
    async def stream_items(
        self,
        dataset_id: DatasetId,
        query: ItemsQuery,
        *,
        offset: int = 0,
        limit: int | None = None,
    ) -> AsyncIterator[Download]:
        """
        The items of a dataset as a stream of bytes (API reference, "Get dataset items").

        Args:
            offset, limit: in items as they were stored, before any filter.

        Raises:
            on entering, as every read; where the body breaks, see `Download.chunks`.
        """
        parameters: list[Parameter] = [*items_parameters(query)]
        if offset:
            parameters.append(("offset", str(offset)))
        if limit is not None:
            parameters.append(("limit", str(limit)))
        path = with_query(f"/datasets/{segment(dataset_id)}/items", parameters)
        async with self._download(path, DEFAULT_PER_SEC) as download:
            yield download

    @asynccontextmanager
    async def stream_record(self, store_id: StoreId, key: str) -> AsyncIterator[Download]:
        """
        A record of a key-value store as a stream of bytes.
        """
        path = f"/key-value-stores/{segment(store_id)}/records/{segment(key)}?attachment=true"
        async with self._download(path, RECORDS_PER_SEC) as download:
            yield download

    @asynccontextmanager
    async def stream_log(self, run_id: RunId, *, follow: bool = False) -> AsyncIterator[Download]:
        """
        A run's log as a stream of bytes.

        Args:
            follow: the answer goes on for as long as the run does.
        """
        path = f"/actor-runs/{segment(run_id)}/log{'?stream=true' if follow else ''}"
        async with self._download(path, DEFAULT_PER_SEC) as download:
            yield download

    async def list_keys(
        self, store_id: StoreId, *, exclusive_start_key: str | None = None, limit: int = 1000
    ) -> wire.KeyList:
        """
        A page of the keys of a key-value store, in binary order.

        Args:
            exclusive_start_key: the last key of the page before.
        """
        parameters = [("limit", str(limit))]
        if exclusive_start_key is not None:
            parameters.append(("exclusiveStartKey", exclusive_start_key))
        path = with_query(f"/key-value-stores/{segment(store_id)}/keys", parameters)
        return await self._read(path, Envelope[wire.KeyList])

    async def get_actor(self, actor_id: str) -> wire.Actor:
        """
        An Actor by id or `owner/name`.
        """
        path = f"/{self._options.path_prefix}/{segment(actor_id)}"
        return await self._read(path, Envelope[wire.Actor])

    async def get_task(self, task_id: str) -> wire.Task:
        """
        A task by id or `owner/name`.
        """
        return await self._read(f"/actor-tasks/{segment(task_id)}", Envelope[wire.Task])

    async def get_me(self) -> wire.Account:
        """
        The account of the token.
        """
        return await self._read("/users/me", Envelope[wire.Account])

    async def get_limits(self) -> wire.AccountLimits:
        """
        What the account allows and what of it is in use.
        """
        return await self._read("/users/me/limits", Envelope[wire.AccountLimits])

    async def _start(
        self,
        target: Target,
        path: str,
        parameters: Sequence[Parameter],
        body: bytes | None,
        content_type: str,
        mark: Mark | None,
        wait_secs: int,
    ) -> wire.Run:
        began = anyio.current_time()
        resource = f"start {target.kind} {target.id}"
        await self._pacer.wait(resource, STARTS_PER_SEC)
        # What was waited for a permit is taken off the deadline: whoever recorded the intent
        # counts from then on.
        within = self._options.start_deadline_secs + wait_secs - (anyio.current_time() - began)
        headers = {"Content-Type": content_type} if body is not None else {}
        if mark is not None:
            headers["User-Agent"] = f"{self._options.user_agent} (attempt {mark})"
        request = Request(
            "POST", with_query(path, parameters), body, headers, within, max(within, 0.001)
        )
        self.stats.requests += 1
        try:
            async with self._transport.send(request) as answer:
                content = await self._checked(answer, request)
            return Envelope[wire.Run].model_validate_json(content).data
        except RateLimited:
            self._refused(resource)
            raise
        except (TransientError, ValidationError) as error:
            if isinstance(error, ConnectionLost) and not error.sent:
                raise
            told = error.message if isinstance(error, PlatformError) else "it cannot be read"
            raise StartUnconfirmed(
                f"the answer to the start was lost: {told}",
                method=request.method,
                path=request.shown_path,
                status=error.status if isinstance(error, PlatformError) else HTTPStatus.CREATED,
            ) from error

    async def _read(
        self,
        path: str,
        envelope: type[Envelope[T]],
        *,
        method: str = "GET",
        wait_secs: int = 0,
    ) -> T:
        """
        A call that may be repeated, and its answer.
        """
        within = self._options.answer_timeout_secs + wait_secs
        request = Request(method, path, None, {}, within, within + 30.0)
        give_up_at, tries = 0.0, 0
        while True:
            tries += 1
            try:
                async with self._sent(request, DEFAULT_PER_SEC, tries) as answer:
                    content = await self._checked(answer, request)
                return _parsed(envelope, content, request)
            except TransientError as error:
                give_up_at = await self._pause(request, error, tries, give_up_at)

    @asynccontextmanager
    async def _download(self, path: str, per_sec: float) -> AsyncIterator[Download]:
        """
        A read whose answer is streamed; repeated until it begins.
        """
        request = Request("GET", path, None, {}, self._options.answer_timeout_secs, None)
        give_up_at, tries, begun = 0.0, 0, False
        while True:
            tries += 1
            try:
                async with self._sent(request, per_sec, tries) as answer:
                    if not _is_success(answer.status):
                        await self._checked(answer, request)
                    begun = True
                    yield _download_of(answer)
                    return
            except TransientError as error:
                if begun:
                    raise
                give_up_at = await self._pause(request, error, tries, give_up_at)

    @asynccontextmanager
    async def _sent(self, request: Request, per_sec: float, tries: int) -> AsyncIterator[Answer]:
        # The resource is what the path names first: one run, one dataset, one store.
        resource = "/".join(request.shown_path.split("/", 3)[:3])
        await self._pacer.wait(resource, per_sec)
        self.stats.requests += 1
        self.stats.retries += tries > 1
        try:
            async with self._transport.send(request) as answer:
                yield answer
        except RateLimited:
            self._refused(resource)
            raise

    async def _checked(self, answer: Answer, request: Request) -> bytes:
        """
        The body of a success; raises the error that any other answer stands for.
        """
        if _is_success(answer.status):
            return await answer.read(JSON_BODY_BYTES)
        try:
            body = await answer.read(ERROR_BODY_BYTES)
        except TransientError:
            body = b""
        raise error_of(
            answer.status,
            body,
            method=request.method,
            path=request.shown_path,
            retry_after=answer.headers.get("Retry-After"),
        )

    async def _pause(
        self, request: Request, error: TransientError, tries: int, give_up_at: float
    ) -> float:
        """
        Waits before the next try; returns when to give up, on the monotonic clock.
        """
        now = anyio.current_time()
        give_up_at = give_up_at or now + self._options.away_secs
        if now >= give_up_at:
            raise error
        pause = pause_secs(tries, error, self._chance())
        self._log.debug(
            "request_repeated",
            method=request.method,
            path=request.shown_path,
            error=str(error),
            tries=tries,
            pause_secs=round(pause, 2),
        )
        await anyio.sleep(min(pause, give_up_at - now))
        return give_up_at

    def _refused(self, resource: str) -> None:
        self.stats.refused_by_rate += 1
        self._pacer.refused(resource)


def _is_success(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _parsed(envelope: type[Envelope[T]], content: bytes, request: Request) -> T:
    try:
        return envelope.model_validate_json(content).data
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ServerFault(
            f"the answer is not what the API describes: {place or 'body'}: {first['msg']}",
            method=request.method,
            path=request.shown_path,
            status=HTTPStatus.OK,
        ) from error


def _download_of(answer: Answer) -> Download:
    headers = answer.headers
    return Download(
        status=answer.status,
        content_type=headers.get("Content-Type", ""),
        total=_number(headers.get("X-Apify-Pagination-Total")),
        count=_number(headers.get("X-Apify-Pagination-Count")),
        _answer=answer,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
