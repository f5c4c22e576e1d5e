"""
Which page a browser gets, and who may read it.

A browser shows the token once, in the address that `serve` prints or in a form, and gets a cookie.
The name of the host must be that of this machine, so that no other site can lead a browser here.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import unquote

from aiohttp import web

from apify_emulator.api.context import Context
from apify_emulator.page.markup import Markup, document
from apify_emulator.page.run_pages import (
    LIVE_LOG,
    actor_list,
    actor_parts,
    log_after,
    run_list,
    run_parts,
)
from apify_emulator.page.storage_pages import (
    dataset_parts,
    queue_parts,
    record_parts,
    storage_list,
    store_parts,
)
from apify_emulator.refusals import ApiError, page_not_found

# With the port: browsers give the cookies of a host to all its ports.
_COOKIE = "apify_emulator_{port}"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_ROWS, _MOST_ROWS = 50, 500
_FORM = Markup(
    "<p>Open the address with <code>/?token=…</code>, or enter the token that the emulator printed "
    'when it started.</p><form method="post" action="/login"><label>Token <input name="token" '
    'type="password" autocomplete="off" autofocus></label> <button>Show</button></form>'
)


class Site:
    """The pages of one emulator."""

    def __init__(self, context: Context, token: str) -> None:
        self._context = context
        self._token = token
        # Not the token itself, which other servers on this machine would get too.
        self._cookie = secrets.token_urlsafe(32)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Answers a request of a browser."""
        if not self._is_own_name(request):
            return _page("Not this name", [], status=403)
        given = await self._given_token(request)
        if given is not None:
            return self._let_in(request, given)
        cookie = request.cookies.get(_cookie_of(request), "")
        if not hmac.compare_digest(cookie.encode(), self._cookie.encode()):
            return _page("Apify emulator", [_FORM], status=401)
        if request.method not in ("GET", "HEAD"):
            return _page("These pages are to read only", [], status=405)
        try:
            return self._read(request)
        except ApiError as problem:
            return _page(problem.message, [], status=problem.status)
        except ValueError:
            return _page("The address is not valid", [], status=400)

    def _is_own_name(self, request: web.BaseRequest) -> bool:
        host = request.headers.get("Host", "").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        return name in _LOOPBACK or name == self._context.options.host.lower()

    async def _given_token(self, request: web.BaseRequest) -> str | None:
        if request.method == "POST" and request.path == "/login":
            return str((await request.post()).get("token", ""))
        return request.query.get("token")

    def _let_in(self, request: web.BaseRequest, given: str) -> web.Response:
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return _page("The token is not valid", [_FORM], status=401)
        # The address without the token, which must not stay in the history.
        place = "/" if request.method == "POST" else f"/{request.path.lstrip('/')}"
        answer = web.Response(status=303, headers={"Location": place, **_headers("")})
        answer.set_cookie(
            _cookie_of(request), self._cookie, httponly=True, samesite="Strict", path="/"
        )
        return answer

    def _read(self, request: web.BaseRequest) -> web.Response:
        raw = request.rel_url.raw_path
        parts = [unquote(part) for part in raw.split("/") if part]
        offset, limit = _window(request)
        context = self._context
        match parts:
            case []:
                return _page("Runs", run_list(context, context.runs.all, offset, limit))
            case ["view", "runs", run_id] | ["actors", "runs", run_id]:
                return self._run(run_id)
            case ["actors", _, "runs", run_id]:
                return self._run(run_id)
            case [*_, "runs", run_id, "log"]:
                return self._log(run_id, int(request.query.get("after", "0")))
            case ["actors"]:
                context.actors.refresh()
                return _page("Actors", actor_list(context))
            case ["actors", reference, *_]:
                actor = context.actors.find(reference.replace("/", "~"))
                return _page(actor.full_name, actor_parts(context, actor))
            case ["storage", *rest]:
                return self._storage(rest, offset, limit)
        raise page_not_found()

    def _run(self, run_id: str) -> web.Response:
        run = self._context.runs.get(run_id)
        script = "" if run.is_terminal else LIVE_LOG
        return _page(f"Run {run.id}", run_parts(self._context, run), script=script)

    def _log(self, run_id: str, after: int) -> web.Response:
        run = self._context.runs.get(run_id)
        text, length = log_after(self._context, run, max(after, 0))
        headers = {"X-Log-Length": str(length), **_headers("")}
        if run.is_terminal:
            headers["X-Run-Ended"] = "1"
        return web.Response(body=text, content_type="text/plain", charset="utf-8", headers=headers)

    def _storage(self, parts: list[str], offset: int, limit: int) -> web.Response:
        context = self._context
        match parts:
            case []:
                return _page("Storages", storage_list(context))
            case ["datasets", reference]:
                dataset = context.datasets.get(reference)
                return _page(f"Dataset {dataset.id}", dataset_parts(dataset, offset, limit))
            case ["key-value-stores", reference]:
                store = context.stores.get(reference)
                return _page(f"Key-value store {store.id}", store_parts(store, offset, limit))
            case ["key-value-stores", reference, "records", key]:
                return _page(f"Record {key}", record_parts(context.stores.get(reference), key))
            case ["request-queues", reference]:
                queue = context.queues.get(reference)
                return _page(f"Request queue {queue.id}", queue_parts(queue, offset, limit))
        raise page_not_found()


def _cookie_of(request: web.BaseRequest) -> str:
    return _COOKIE.format(port=request.url.port)


def _window(request: web.BaseRequest) -> tuple[int, int]:
    offset = int(request.query.get("offset", "0"))
    limit = int(request.query.get("limit", str(_ROWS)))
    return max(offset, 0), min(max(limit, 1), _MOST_ROWS)


def _page(title: str, parts: list[Markup], *, status: int = 200, script: str = "") -> web.Response:
    nonce = secrets.token_urlsafe(16)
    return web.Response(
        status=status,
        body=document(title, *parts, nonce=nonce, script=script),
        content_type="text/html",
        charset="utf-8",
        headers=_headers(nonce),
    )


def _headers(nonce: str) -> dict[str, str]:
    """Returns what forbids everything that these pages do not need."""
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'nonce-{nonce}'; "
        f"script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
