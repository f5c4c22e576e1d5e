"""Runs: what starts, follows, lists and aborts them (API reference, "Actor runs")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial

import anyio

from orchestrator.apify import models, urls
from orchestrator.apify.http.download import Download, Opened, Opening
from orchestrator.apify.http.transport import Request, Response
from orchestrator.apify.models.decoding import check_of_items, read_run, read_runs
from orchestrator.apify.policy.rate_limits import Rate
from orchestrator.apify.policy.sender import ALL_BUT_TOKEN_REFUSALS, NO_REFUSALS, Call, Sender
from orchestrator.apify.request_builder import RequestBuilder
from orchestrator.errors import InputRejected, ServerFault
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import ItemsQuery, RunOptions, Target

LOG_SILENCE_SECS = 600.0
"""How long a log that is followed may stay without a line before its connection counts as dead."""

# A constant: to read a member of the enumeration takes a call.
STARTS = Rate.STARTS


class RunEndpoints:
    """
    Starts runs, which may cost money, and looks at them, which may be repeated.

    Args:
        max_polls: how many answers may be held at once for the end of a run; None for any number.
    """

    def __init__(
        self, requests: RequestBuilder, sender: Sender, *, max_polls: int | None = None
    ) -> None:
        self._requests = requests
        self._sender = sender
        self._polls = None if max_polls is None else anyio.Semaphore(max_polls)

    async def start(
        self,
        target: Target,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        options: RunOptions | None = None,
        mark: Mark | None = None,
        wait_secs: int = 0,
    ) -> models.Run:
        """
        Starts a run; one POST.

        Args:
            body: the input; None for none, or for a task's own.
            mark: goes into the User-Agent, by which the run is found when the answer is lost.
            wait_secs: how long the platform may hold its answer for the run's end, 0 to 60.

        Returns:
            the run, which may or may not have ended.

        Raises:
            StartUnconfirmed: the run may have been started; the request is not repeated.
            NoRoom: the account has no room for it now.
            PermanentError: it will not be started.
            RateLimited, ConnectionLost: it was not started, and could not be for
                `start_deadline_secs`.
        """
        path = urls.target_path(target, self._requests.path_prefix)
        query = urls.start_query(target, options or RunOptions(), wait_secs)
        request = await self._requests.start(
            f"{path}/runs{query}",
            body=body,
            content_type=content_type,
            mark=mark,
            wait_secs=wait_secs,
        )
        # The prefix separates starts from reads of the same Actor, which have another rate.
        return await self._sender.start(Call(request, f"start {path}", STARTS), read_run)

    async def resurrect(
        self, run_id: RunId, options: RunOptions | None = None, *, mark: Mark | None = None
    ) -> models.Run:
        """
        Continues a run that has ended, in its own storages; sent and confirmed like a start.

        Args:
            options: None for those that the run had.

        Raises:
            StartUnconfirmed: the run may continue; `get` shows whether it does.
            NoRoom, PermanentError, RateLimited, ConnectionLost: as for a start.
        """
        path = _path_of(run_id)
        query = urls.resurrect_query(options or RunOptions())
        request = await self._requests.start(f"{path}/resurrect{query}", mark=mark)
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
        by_get: bool = False,
    ) -> AbstractAsyncContextManager[Download]:
        """
        Starts a run and waits for its end; the answer is its output record.

        One request that only a conflict repeats. A run without that record gives an empty body. The
        answer does not hold the run's id.

        Args:
            by_get: sends a GET, which has no body. Gateways and proxies may send a GET again, and
                each of them starts a run.

        Raises, on entering:
            StartUnconfirmed: the run may have been started, or takes longer than `sync_wait_secs`:
                find it by its mark. An error while the body is read leaves the same question.
            RunFailed: it ended, and did not succeed.
            NoRoom, PermanentError: it was not started.
            RateLimited, ConnectionLost: it was not started, and may be tried again.
        """
        query = urls.sync_query(
            target,
            options or RunOptions(),
            by_get=by_get,
            output_record_key=output_record_key,
        )
        return self._hold(
            target,
            f"run-sync{query}",
            body=body,
            content_type=content_type,
            by_get=by_get,
            mark=mark,
        )

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
        by_get: bool = False,
    ) -> AbstractAsyncContextManager[Download]:
        """
        Starts a run and waits for its end; the answer is the items of its default dataset.

        Args:
            by_get: as for `run_sync`.

        Raises, on entering: as `run_sync`.
        """
        items = query or ItemsQuery()
        text = urls.sync_query(
            target,
            options or RunOptions(),
            by_get=by_get,
            items=items,
            offset=offset,
            limit=limit,
        )
        return self._hold(
            target,
            f"run-sync-get-dataset-items{text}",
            body=body,
            content_type=content_type,
            by_get=by_get,
            mark=mark,
            check=check_of_items(items),
        )

    async def get(self, run_id: RunId, *, wait_secs: int = 0, insist: bool = False) -> models.Run:
        """
        A run as it is now.

        Args:
            wait_secs: how long the platform may hold its answer for the run's end, 0 to 60; a
                run that has not ended by then is a normal answer. If a gateway does not wait for
                so long, the repeat asks for less.
            insist: whether every refusal counts only when the platform repeats it for 20 seconds;
                otherwise only a refusal of the token is asked for again.
        """
        path = _path_of(run_id)
        final = NO_REFUSALS if insist else ALL_BUT_TOKEN_REFUSALS
        call = Call(self._look(path, wait_secs), path, final=final)
        read = partial(_read_run_with, run_id)
        if not wait_secs:
            return await self._sender.ask(call, read)

        # A gateway that waits 50 s for an answer would lose the same poll each time.
        def shorter(secs: float) -> Request:
            return self._look(path, min(wait_secs, int(secs / 2)))

        call = call._replace(after_hold=shorter)
        # Only held answers count: a plain look must not wait behind polls of a minute.
        if self._polls is None:
            return await self._sender.ask(call, read)
        try:
            # A poll that may begin at once need not wait for a turn of the event loop.
            self._polls.acquire_nowait()
        except anyio.WouldBlock:
            await self._polls.acquire()
        try:
            return await self._sender.ask(call, read)
        finally:
            self._polls.release()

    async def list(
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
        path = "/v2/actor-runs"
        if target is not None:
            path = f"{urls.target_path(target, self._requests.path_prefix)}/runs"
        query = urls.list_query(
            target=target,
            started_after=started_after,
            started_before=started_before,
            status=status,
            desc=desc,
            offset=offset,
            limit=limit,
        )
        request = self._requests.large(f"{path}{query}")
        # A token may be refused some lists for good; that it is invalid needs proof.
        return await self._sender.ask(Call(request, path, final=ALL_BUT_TOKEN_REFUSALS), read_runs)

    async def abort(self, run_id: RunId, *, gracefully: bool = False) -> models.Run:
        """
        Aborts a run; one that has ended stays as it is.

        Args:
            gracefully: lets it save its state first, for 30 seconds at most.
        """
        path = _path_of(run_id)
        query = "?gracefully=true" if gracefully else ""
        # One odd refusal must not leave a run that costs money: it counts only when it is repeated.
        request = self._requests.small("POST", f"{path}/abort{query}")
        return await self._sender.ask(Call(request, path, final=NO_REFUSALS), read_run)

    def stream_log(
        self, run_id: RunId, *, follow: bool = False, raw: bool = False
    ) -> AbstractAsyncContextManager[Download]:
        """
        The log of a run (or of a build, by its id), as text.

        Args:
            follow: continues until the run ends.
            raw: with the colour codes that the platform otherwise removes.
        """
        path = f"/v2/logs/{urls.segment(run_id)}"
        pairs = [("stream", "true")] if follow else []
        pairs += [("raw", "true")] if raw else []
        request = self._requests.streamed(
            f"{path}{urls.query(pairs)}", silence_secs=LOG_SILENCE_SECS if follow else None
        )
        call = Call(request, path, final=NO_REFUSALS)
        return Opening(lambda: self._sender.open(call))

    def _look(self, path: str, wait_secs: int) -> Request:
        place = f"{path}{urls.wait_query(wait_secs)}"
        return self._requests.small("GET", place, wait_secs=wait_secs)

    def _hold(
        self,
        target: Target,
        place: str,
        *,
        body: bytes | None,
        content_type: str,
        by_get: bool,
        mark: Mark | None,
        check: Callable[[Response], None] | None = None,
    ) -> Opening:
        if by_get and body is not None:
            raise InputRejected("a start by GET has no input; leave out by_get")
        method = "GET" if by_get else "POST"
        path = urls.target_path(target, self._requests.path_prefix)

        async def open_exchange() -> Opened:
            # Built on entering, because compressing the body may wait for a thread.
            request = await self._requests.held_start(
                method, f"{path}/{place}", body=body, content_type=content_type, mark=mark
            )
            call = Call(request, f"start {path}", STARTS)
            return await self._sender.start_and_hold(call, check)

        return Opening(open_exchange)


def _path_of(run_id: RunId) -> str:
    return f"/v2/actor-runs/{urls.segment(run_id)}"


def _read_run_with(run_id: RunId, body: bytes) -> models.Run:
    """Reads the run that was asked for: a proxy may send what belongs to another request."""
    run = read_run(body)
    if run.id != run_id:
        raise ServerFault(f"the answer is about another run, {run.id}")
    return run
