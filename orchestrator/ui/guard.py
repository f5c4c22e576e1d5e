"""
Lets only the person at this machine read the pages, in the browser that was given the token.

Any site in that browser can send requests to loopback. So a request must name this server as its
host (against a foreign name that resolves to loopback), come from a page of this server or from
none, and carry the token: in the address once, then in a cookie that scripts cannot read, or in
the header `Authorization: Bearer`, for programs.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import SecretStr

from orchestrator.event_log import LOG

PARAMETER = "token"
METHODS = frozenset({"GET", "HEAD"})
FOREIGN = frozenset({"cross-site", "same-site"})
"""What browsers say in `Sec-Fetch-Site`; other ports of this machine are the same site."""

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""Of answers that are no pages of ours: even a browser that takes one for HTML runs nothing."""


class Guard:
    """
    Refuses requests of others, and adds the headers that every answer needs.

    Args:
        port: of the server on loopback.
        token: random; who has it may read.
    """

    def __init__(self, port: int, token: SecretStr) -> None:
        self._token = token
        self._hosts = {f"{host}:{port}" for host in ("127.0.0.1", "localhost")}
        self._origins = {f"http://{host}" for host in self._hosts}
        self._cookie = f"orchestrator-ui-{port}"

    def middleware(self) -> Middleware:
        """The guard as aiohttp calls it."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = self._refusal(request) or await self._answer(request, handler)
            for name, value in HEADERS.items():
                answer.headers.setdefault(name, value)
            answer.headers.setdefault("Content-Security-Policy", NO_CONTENT_POLICY)
            return answer

        return guarded

    async def _answer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if PARAMETER in request.query:
            return self._without_token_in_address(request)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _text(error.status, error.text or error.reason)
        except Exception as error:  # noqa: BLE001 - one page that fails must not end the server
            LOG.error("page_failed", path=request.path, error=str(error), exc_info=error)
            return _text(500, "A bug of ours: this page cannot be shown. The others can.")

    def _refusal(self, request: web.Request) -> web.StreamResponse | None:
        if request.host not in self._hosts:
            return _text(421, "This server is for this machine only: open the printed address.")
        if request.method not in METHODS:
            return _text(405, "These pages are read only.")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self._origins:
            return _text(403, "This server answers its own pages only.")
        is_navigation = request.headers.get("Sec-Fetch-Mode") == "navigate"
        if request.headers.get("Sec-Fetch-Site") in FOREIGN and not is_navigation:
            return _text(403, "This server answers its own pages only.")
        if not any(map(self._is_token, self._given(request))):
            return _text(
                403, "Open the address that `orchestrator ui` has printed: it has a token."
            )
        return None

    def _given(self, request: web.Request) -> list[str]:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return [
            request.query.get(PARAMETER, ""),
            request.cookies.get(self._cookie, ""),
            token if kind.lower() == "bearer" else "",
        ]

    def _is_token(self, text: str) -> bool:
        secret = self._token.get_secret_value()
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), secret.encode())

    def _without_token_in_address(self, request: web.Request) -> web.StreamResponse:
        """Moves the token from the address, which histories keep, into a cookie."""
        address = str(request.rel_url.without_query_params(PARAMETER))
        # One slash: after two, a browser expects the name of another host.
        answer = web.Response(status=303, headers={"Location": f"/{address.lstrip('/')}"})
        answer.set_cookie(
            self._cookie,
            self._token.get_secret_value(),
            httponly=True,
            # Not Strict: a link in a terminal on the web would then open a refusal.
            samesite="Lax",
            path="/",
        )
        return answer


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")
