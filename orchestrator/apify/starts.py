"""What starts something, and may cost money: sent once unless it certainly did nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import orjson

from orchestrator.apify import endpoints, models
from orchestrator.apify.http.download import Download, Opening
from orchestrator.apify.http.encodings import ACCEPTED
from orchestrator.apify.http.transport import Deadlines, Request, Response
from orchestrator.apify.models.decoding import check_of_items, read_run
from orchestrator.apify.policy.rate_limits import Rate
from orchestrator.apify.policy.refusals import describe_page
from orchestrator.apify.policy.sender import Call
from orchestrator.apify.requests import Requester
from orchestrator.errors import InputRejected, ServerFault
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import ItemsQuery, RunOptions, Target, TargetKind


class Starts(Requester):
    """The starting methods of `ApifyClient`."""

    async def start_run(
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
            mark: goes into the User-Agent, by which the run is found should the answer be lost.
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
        options = options or RunOptions()
        path = endpoints.target_path(target, self._options.path_prefix)
        query = endpoints.start_query(target, options, wait_secs)
        request = await self._start_request(
            "POST", f"{path}/runs{query}", body, content_type, mark, self._starts[wait_secs]
        )
        return await self._sender.start(Call(request, f"start {path}", Rate.STARTS), read_run)

    async def resurrect_run(
        self, run_id: RunId, options: RunOptions | None = None, *, mark: Mark | None = None
    ) -> models.Run:
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
            NoRoom, PermanentError: it was not started.
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
        check = check_of_items(query or ItemsQuery())
        return self._hold(target, place, by_get, body, content_type, mark, check)

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

    def _hold(
        self,
        target: Target,
        place: str,
        by_get: bool,
        body: bytes | None,
        content_type: str,
        mark: Mark | None,
        check: Callable[[Response], None] | None = None,
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
            return await self._sender.start_and_hold(call, check)

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
        """A request that starts something."""
        endpoints.check_body(body)
        headers = dict(self._headers)
        headers["Accept-Encoding"] = accepted
        if mark is not None:
            headers["User-Agent"] = f"{self._options.user_agent} (attempt {mark})"
        if body is not None:
            headers, body = await self._packed(body, content_type, headers)
        return Request(method, f"{self._root}{place}", headers, deadlines, body)


def read_validity(body: bytes) -> None:
    """Reads the answer of validate-input, which is a success when it is there at all."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        raise ServerFault(f"the answer is {describe_page(body)}") from None
    if not isinstance(answer, dict) or answer.get("valid") is not True:
        raise ServerFault("the answer does not say whether the input is valid")
