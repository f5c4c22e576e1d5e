"""
The platform's lifetime, and what happens to a request between the socket and its handler.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from aiohttp import web
from pydantic import SecretStr

from apify_emulator.account import USER_ID
from apify_emulator.addresses import told_address
from apify_emulator.assembly import opened
from apify_emulator.context import Context
from apify_emulator.errors import AddressUnavailable
from apify_emulator.faults import FaultKind, FaultPicker, Faults
from apify_emulator.hiding import hide
from apify_emulator.ids import now
from apify_emulator.messages import Answer, Answered, Call, refusal
from apify_emulator.options import EmulatorOptions
from apify_emulator.refusals import ApiError, no_token, page_not_found
from apify_emulator.rights import check_rights
from apify_emulator.routes import all_routes
from apify_emulator.runs import full_view
from apify_emulator.sending import answer_before, headers_of, reset, send, send_wrongly
from apify_emulator.tokens import Tokens

_LOG = logging.getLogger(__name__)
_SHUTDOWN_SECS = 0.5
# Webhooks ride in the query, so a request line may be long.
_MAX_LINE_BYTES = 1 << 20
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

OnAnswer = Callable[[Answered], None]


class Emulator:
    """
    A platform that is being served.

    Attributes:
        url: without `/v2` and without a slash at the end.
        token: of the account.
    """

    def __init__(self, url: str, token: SecretStr, context: Context) -> None:
        self.url = url
        self.token = token
        self._context = context

    def runs(self) -> list[dict[str, Any]]:
        """
        Return all runs as their own endpoint shows them, oldest first.
        """
        moment = now()
        return [full_view(run, USER_ID, moment, with_usage=True) for run in self._context.runs.all]

    @property
    def faults(self) -> Faults:
        """
        How it misbehaves; setting it begins anew with the seed and the counts.
        """
        return self._context.faults.faults

    @faults.setter
    def faults(self, faults: Faults | None) -> None:
        self._context.faults = FaultPicker(faults or Faults())

    @property
    def faults_struck(self) -> int:
        """
        How many faults have happened since they were set.
        """
        return self._context.faults.struck


@asynccontextmanager
async def serve_emulator(
    options: EmulatorOptions, *, on_answer: OnAnswer | None = None
) -> AsyncIterator[Emulator]:
    """
    Serve a platform as long as the context is open.

    At the end all Actor processes are stopped, but their runs are not ended: the next platform on
    the same data goes on with them.

    Args:
        on_answer: is told of every answer, before it is sent.

    Raises:
        SetupError: an Actor or a task cannot be read, or the data folder cannot be used.
        AddressUnavailable: the address cannot be listened on.
        DataFolderInUse: another emulator uses the data folder.
    """
    async with opened(options) as parts:
        # APIFY_TOKEN is that of the owner's real account, which no Actor here needs.
        hide([parts.token.get_secret_value(), os.environ.get("APIFY_TOKEN")])
        door = _Door(parts.context, parts.tokens, on_answer)
        server = web.Server(
            door.handle,
            access_log=None,
            auto_decompress=False,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
        )
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECS)
        await runner.setup()
        try:
            site = web.TCPSite(runner, options.host, options.port, backlog=4096)
            try:
                await site.start()
            except OSError as problem:
                raise AddressUnavailable(
                    f"cannot listen on {options.host}:{options.port}: {problem.strerror}; "
                    "choose another port"
                ) from problem
            door.base_url = _url(runner, options.host)
            with told_address(options.data_dir, door.base_url, parts.token):
                parts.go(door.base_url)
                yield Emulator(door.base_url, parts.token, parts.context)
        finally:
            with anyio.CancelScope(shield=True):
                await parts.stop_processes()
                await runner.cleanup()


def _url(runner: web.ServerRunner, host: str) -> str:
    port = runner.addresses[0][1]
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Door:
    """
    Turns requests into calls and answers into responses.
    """

    def __init__(self, context: Context, tokens: Tokens, on_answer: OnAnswer | None) -> None:
        self._context = context
        self._tokens = tokens
        self._on_answer = on_answer
        self._router = all_routes()
        self.base_url = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """
        Answer one request.
        """
        path = request.rel_url.raw_path
        if path.startswith("/events/"):
            return await self._events(request, path)
        rule = None
        if self._has_faults:
            cap = request.rel_url.query.get("maxTotalChargeUsd")
            rule = self._context.faults.pick(request.method, path, cap)
        if rule is not None:
            if rule.do is FaultKind.RESET_BEFORE:
                return reset(request)
            early = answer_before(rule)
            if early is not None:
                return await send(request, early)
        answer = await self._answer(request, path)
        if self._on_answer is not None:
            self._tell(request, path, answer)
        if rule is not None:
            return await send_wrongly(request, answer, rule)
        return await send(request, answer)

    @property
    def _has_faults(self) -> bool:
        return bool(self._context.faults.faults.rules)

    async def _answer(self, request: web.BaseRequest, path: str) -> Answer:
        try:
            return await self._dispatch(request, path)
        except ApiError as error:
            return refusal(error)
        except Exception:  # noqa: BLE001 - a bug of a handler: the owner is told in the log
            _LOG.exception("the local platform failed at %s %s", request.method, path)
            return refusal(
                ApiError(500, "internal-server-error", "The local platform has a bug; see its log.")
            )

    async def _dispatch(self, request: web.BaseRequest, path: str) -> Answer:
        method = request.method
        if method not in _METHODS:
            raise page_not_found()
        call = Call(request, method, self.base_url)
        if method == "GET" and "method" in call.query:
            call.method = method = call.query["method"].upper()
        if method == "OPTIONS":
            return Answer(status=204, headers={"Allow": ", ".join(sorted(_METHODS))})
        route, call.params = self._router.find(method, path)
        token = _token(request, call)
        if token is not None:
            call.run_id = self._tokens.run_of(token)
        elif route.is_open:
            call.is_known = False
        else:
            raise no_token()
        check_rights(self._context, call, route)
        return await route.handler(self._context, call)

    async def _events(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        run_id = path.removeprefix("/events/")
        try:
            if self._tokens.run_of(request.query.get("token", "")) != run_id:
                raise page_not_found()
        except ApiError as error:
            return await send(request, refusal(error))
        return await self._context.events.serve(request, run_id)

    def _tell(self, request: web.BaseRequest, path: str, answer: Answer) -> None:
        if self._on_answer is not None:
            self._on_answer(
                Answered(
                    method=request.method,
                    path=path,
                    status=answer.status,
                    headers=headers_of(answer),
                    body=answer.body if isinstance(answer.body, bytes) else None,
                )
            )


def _token(request: web.BaseRequest, call: Call) -> str | None:
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
    return call.query.get("token") or None
