"""What happens to a request between the socket and its endpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from apify_emulator.api.context import Context
from apify_emulator.api.permissions import check_permissions
from apify_emulator.api.public_access import may_read
from apify_emulator.api.router import CONTROL
from apify_emulator.api.routes import all_routes
from apify_emulator.errors import DISK_FULL, is_disk_full
from apify_emulator.faults import FaultKind
from apify_emulator.http.answers import Answer, Answered, refusal
from apify_emulator.http.calls import Call
from apify_emulator.http.fault_response import answer_instead, reset, send_with_fault
from apify_emulator.http.response import headers_of, send
from apify_emulator.processes.tokens import Tokens
from apify_emulator.refusals import ApiError, no_token, page_not_found

if TYPE_CHECKING:
    from apify_emulator.page.site import Site

_LOG = logging.getLogger(__name__)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# The first part of the addresses that a browser shows; they are those of Apify Console.
_PAGES = frozenset({"", "view", "actors", "storage", "login"})
# What a request of a run's process keeps: the id of the run.
_RUN = web.RequestKey("run", str)
_CONTROL_PATH = f"/{CONTROL}/"
OnAnswer = Callable[[Answered], None]


class RequestHandler:
    """Turns requests into calls and answers into responses."""

    def __init__(self, context: Context, tokens: Tokens, on_answer: OnAnswer | None) -> None:
        self._context = context
        self._tokens = tokens
        self._on_answer = on_answer
        self._router = all_routes()
        self._pages: Site | None = None
        self.base_url = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request."""
        path = request.rel_url.raw_path
        if path.startswith("/events/"):
            return await self._events(request, path)
        if path.split("/", 2)[1] in _PAGES:
            return await self._site(request)
        rule = None
        # Without rules no request pays for the search.
        if self._has_faults and not path.startswith(_CONTROL_PATH):
            cap = request.rel_url.query.get("maxTotalChargeUsd")
            rule = self._context.faults.pick(request.method, path, cap)
        if rule is not None:
            if rule.do is FaultKind.RESET_BEFORE:
                return reset(request)
            early = answer_instead(rule)
            if early is not None:
                return await send(request, early)
        answer = await self._answer(request, path)
        if self._on_answer is not None:
            self._report(request, path, answer)
        if rule is not None:
            return await send_with_fault(request, answer, rule)
        response = await send(request, answer)
        if _RUN in request:
            received, sent = _bytes_of(request, response)
            self._context.runs.note_traffic(request[_RUN], received, sent)
        return response

    async def _site(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._pages is None:
            # Most emulators never meet a browser.
            from apify_emulator.page.site import Site

            self._pages = Site(self._context, self._tokens.owner)
        return await self._pages.answer(request)

    @property
    def _has_faults(self) -> bool:
        return bool(self._context.faults.faults.rules)

    async def _answer(self, request: web.BaseRequest, path: str) -> Answer:
        try:
            return await self._dispatch(request, path)
        except ApiError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001 - a bug in a handler, which the log shows
            said = "The emulator has a bug; see its log."
            if is_disk_full(error):
                said = DISK_FULL
            else:
                _LOG.exception("the emulator failed at %s %s", request.method, path)
            return refusal(ApiError(500, "internal-server-error", said))

    async def _dispatch(self, request: web.BaseRequest, path: str) -> Answer:
        method = request.method
        if method not in _METHODS:
            raise page_not_found()
        call = Call(request, method, self.base_url)
        # Apify accepts the method as a parameter, for clients that can only send GET.
        if method == "GET" and "method" in call.query:
            call.method = method = call.query["method"].upper()
        if method == "OPTIONS":
            return Answer(status=204, headers={"Allow": ", ".join(sorted(_METHODS))})
        route, call.params = self._router.find(method, path)
        token = _token(request, call)
        if token is not None:
            call.run_id = self._tokens.run_of(token)
            if call.run_id is not None:
                request[_RUN] = call.run_id
        elif route.is_open or may_read(self._context, call, route):
            call.is_known = False
        else:
            raise no_token()
        check_permissions(self._context, call, route)
        return await route.handler(self._context, call)

    async def _events(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        run_id = path.removeprefix("/events/")
        try:
            if self._tokens.run_of(request.query.get("token", "")) != run_id:
                raise page_not_found()
        except ApiError as error:
            return await send(request, refusal(error))
        return await self._context.events.serve(request, run_id)

    def _report(self, request: web.BaseRequest, path: str, answer: Answer) -> None:
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


def _bytes_of(request: web.BaseRequest, response: web.StreamResponse) -> tuple[int, int]:
    """Returns how many bytes a client has received and sent, without the lines of HTTP itself."""
    body = response.body if isinstance(response, web.Response) else None
    received = len(body) if isinstance(body, bytes) else response.body_length
    received += sum(len(name) + len(value) + 4 for name, value in response.headers.items())
    sent = request.content.total_bytes if request.body_exists else 0
    return received, sent + sum(len(name) + len(value) + 4 for name, value in request.raw_headers)


def _token(request: web.BaseRequest, call: Call) -> str | None:
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
    return call.query.get("token") or None
