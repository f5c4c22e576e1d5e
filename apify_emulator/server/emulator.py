"""The lifetime of an emulator: it listens, serves and closes."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import SecretStr

from apify_emulator.account import USER_ID
from apify_emulator.api.context import Context
from apify_emulator.client_variables import client_variables
from apify_emulator.errors import AddressUnavailable
from apify_emulator.faults import FaultPicker, Faults
from apify_emulator.options import EmulatorOptions
from apify_emulator.runs.run_views import run_view
from apify_emulator.server.address import published_address
from apify_emulator.server.parts import opened
from apify_emulator.server.proxy_server import serving_proxy
from apify_emulator.server.request_handler import OnAnswer, RequestHandler
from apify_emulator.server.secret_hiding import hide
from apify_emulator.times import now

# Requests that still wait for a run are cut off, because nobody needs their answer.
_SHUTDOWN_SECS = 0.5
# The query can contain webhooks, so a request line can be long.
_MAX_LINE_BYTES = 1 << 20
_HTTP_LOG = logging.getLogger("apify_emulator.http")


def _is_own_problem(record: logging.LogRecord) -> bool:
    """Returns False for a request that is not HTTP: its client gets 400, and nobody a traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_HTTP_LOG.addFilter(_is_own_problem)


class Emulator:
    """
    An emulator that is running.

    Attributes:
        url: without `/v2` and without a slash at the end.
        token: of the account.
    """

    def __init__(self, url: str, token: SecretStr, context: Context) -> None:
        self.url = url
        self.token = token
        self._context = context

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that Apify's tools and SDKs read."""
        token = {"APIFY_TOKEN": self.token.get_secret_value()}
        return token | client_variables(self.url, self._context.proxy)

    def runs(self) -> list[dict[str, Any]]:
        """Returns all runs as their own endpoint shows them, oldest first."""
        moment = now()
        return [run_view(run, USER_ID, moment, with_usage=True) for run in self._context.runs.all]

    def advance(self, seconds: float) -> None:
        """Moves the clock forward; simulated runs and stand-ins continue at once."""
        self._context.timers.advance(seconds)

    @property
    def faults(self) -> Faults:
        """The faults; setting them starts again with the seed and the counts."""
        return self._context.faults.faults

    @faults.setter
    def faults(self, faults: Faults | None) -> None:
        self._context.faults = FaultPicker(faults or Faults())

    @property
    def faults_injected(self) -> int:
        """How many faults have happened since the faults were set."""
        return self._context.faults.injected


@asynccontextmanager
async def serve_emulator(
    options: EmulatorOptions, *, on_answer: OnAnswer | None = None
) -> AsyncIterator[Emulator]:
    """
    Serves an emulator as long as the context is open.

    At the end it stops all Actor processes, but does not end their runs: the next emulator on the
    same data continues them.

    Args:
        on_answer: called with every answer before it is sent.

    Raises:
        SetupError: an Actor or a task cannot be read, or the data folder cannot be used.
        AddressUnavailable: the address cannot be listened on.
        DataFolderInUse: another emulator uses the data folder.
    """
    async with opened(options) as parts:
        # APIFY_TOKEN is the token of the owner's real account, which no Actor here needs.
        hide([parts.token.get_secret_value(), os.environ.get("APIFY_TOKEN")])
        handler = RequestHandler(parts.context, parts.tokens, on_answer)
        async with _http_server(handler) as runner, _proxy(parts.context):
            try:
                await _listen(runner, options)
                handler.base_url = _url(runner, options.host)
                with published_address(options.data_dir, handler.base_url, parts.token):
                    parts.continue_runs(handler.base_url)
                    yield Emulator(handler.base_url, parts.token, parts.context)
            finally:
                # Before the server closes, because processes save their state over the API.
                with anyio.CancelScope(shield=True):
                    await parts.stop_processes()
                parts.context.timers.set_back()


@asynccontextmanager
async def _http_server(handler: RequestHandler) -> AsyncIterator[web.ServerRunner]:
    server = web.Server(
        handler.handle,
        access_log=None,
        logger=_HTTP_LOG,
        # `request_body` decompresses bodies itself, with a limit of their size.
        auto_decompress=False,
        max_line_size=_MAX_LINE_BYTES,
        max_field_size=_MAX_LINE_BYTES,
    )
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECS)
    await runner.setup()
    try:
        yield runner
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


def _proxy(context: Context) -> AbstractAsyncContextManager[None]:
    return serving_proxy(context.proxy, context.runs.note_traffic)


async def _listen(runner: web.ServerRunner, options: EmulatorOptions) -> None:
    # A batch can open thousands of connections at once, so the queue of new ones is long.
    site = web.TCPSite(runner, options.host, options.port, backlog=4096)
    try:
        await site.start()
    except OSError as problem:
        raise AddressUnavailable(
            f"cannot listen on {options.host}:{options.port}: {problem.strerror}; "
            "choose another --host or --port"
        ) from problem


def _url(runner: web.ServerRunner, host: str) -> str:
    port = runner.addresses[0][1]
    # These mean all addresses, but a client needs one that it can connect to.
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
