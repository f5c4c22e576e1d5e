"""
Serves the pages of all batches on loopback.

Another page of this server is a route of the same application: `make_app` returns it, and the guard
stands before all its routes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from anyio import CapacityLimiter, to_thread
from pydantic import SecretStr

from orchestrator.app.batch_folders import display
from orchestrator.app.history.recent_batches import RecentBatches
from orchestrator.app.monitoring.newest import newest_readings
from orchestrator.errors import OrchestratorError, UsageError
from orchestrator.extras import LIBRARIES_OF_EXTRAS, Extra, not_installed
from orchestrator.ledger.location import has_ledger
from orchestrator.model.zones import zone_named
from orchestrator.report.page.document import PageFrame, policy, section, shell
from orchestrator.report.page.outcome import footer_words
from orchestrator.ui.guard import Guard
from orchestrator.ui.job_page import JobPage, job_page
from orchestrator.ui.live_batch import PACE, POLL_SECS, SLOW_POLL_SECS, LiveBatch, Pace
from orchestrator.ui.overview import batch_address, overview_section

T = TypeVar("T")
UNREADABLE = (OrchestratorError, OSError)
"""What a file or a ledger that cannot be read raises."""

HOST = "127.0.0.1"
HOME = "/"
OVERVIEW_SECS = 5
METRICS_TYPE = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
HTTP_LOG = logging.getLogger("orchestrator.ui.http")
MOST_OPEN = 8
"""How many batches are kept in memory for the browsers that look at them."""

READERS = 2
"""How many ledgers are read at once for all browsers together."""


def _is_own_problem(record: logging.LogRecord) -> bool:
    """False for a request that is not HTTP, whose text may hold the token: its client gets 400."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


HTTP_LOG.addFilter(_is_own_problem)


class Pages:
    """The handlers of the pages."""

    def __init__(self, output: Path, pace: Pace = PACE) -> None:
        self._output = output
        self._pace = pace
        self._recent = RecentBatches(output)
        self._open: OrderedDict[Path, LiveBatch] = OrderedDict()
        self._readers = CapacityLimiter(READERS)

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        batch = "/batches/{name}/{id}"
        return [
            web.get(HOME, self.overview),
            web.get("/changes", self.overview_changes),
            web.get("/metrics", self.metrics),
            web.get(batch, self.batch),
            web.get(f"{batch}/changes", self.batch_changes),
            web.get(f"{batch}/jobs/{{key}}", self.job),
            web.get(f"{batch}/jobs/{{key}}/changes", self.job_changes),
            web.get(f"{batch}/jobs/{{key}}/log.txt", self.log),
        ]

    async def overview(self, _request: web.Request) -> web.Response:
        """The first page."""
        shown = await self._overview()
        frame = PageFrame(
            title="Batches",
            words=f"under {display(self._output.absolute())}",
            footer=_written(),
            live="/changes",
        )
        return _page(frame, shown, OVERVIEW_SECS)

    async def overview_changes(self, request: web.Request) -> web.Response:
        """What has changed on it."""
        return _changes(request, await self._overview(), OVERVIEW_SECS)

    async def metrics(self, _request: web.Request) -> web.Response:
        """The newest batch of each series, for Prometheus."""
        if find_spec(LIBRARIES_OF_EXTRAS[Extra.METRICS]) is None:
            raise web.HTTPNotImplemented(text=f"This page {not_installed(Extra.METRICS)}")
        return web.Response(body=await self._read(self._metrics), headers=METRICS_TYPE)

    def _metrics(self) -> bytes:
        # The other pages need no library of metrics.
        from orchestrator.app.monitoring.exposition import exposition

        return exposition(newest_readings(self._recent, datetime.now(UTC)))

    async def batch(self, request: web.Request) -> web.Response:
        """The page of a batch."""
        live = self._live(request)
        try:
            text = await self._read(lambda: live.document(HOME))
        except UNREADABLE as error:
            frame = PageFrame(
                title=request.match_info["name"],
                words=request.match_info["id"],
                footer=_written(),
                places=[(HOME, "All batches")],
            )
            return _page(frame, {"problem": _problem(error)}, SLOW_POLL_SECS)
        return _html(text)

    async def batch_changes(self, request: web.Request) -> web.Response:
        """What has changed on it."""
        live, since = self._live(request), request.query.get("since", "")
        try:
            changes = await self._read(lambda: live.changes(since))
        except UNREADABLE as error:
            raise web.HTTPConflict(text=str(error)) from error
        if changes is None:
            return web.Response(status=204)
        return web.Response(body=changes, content_type="application/json")

    async def job(self, request: web.Request) -> web.Response:
        """The page of a job."""
        page, address = await self._job(request)
        batch = address.rpartition("/jobs/")[0]
        frame = PageFrame(
            title=page.key,
            words=f"{page.batch.name} {page.batch.id}",
            footer=footer_words(datetime.now(UTC), page.zone),
            live=f"{address}/changes",
            places=[(HOME, "All batches"), (batch, page.batch.name)],
        )
        return _page(frame, page.sections, _every(page))

    async def job_changes(self, request: web.Request) -> web.Response:
        """What has changed on it."""
        page, _ = await self._job(request)
        return _changes(request, page.sections, _every(page))

    async def log(self, request: web.Request) -> web.StreamResponse:
        """The log of a job's run as plain text, from disk."""
        page, _ = await self._job(request)
        path = self._folder(request) / "jobs" / page.key / "log.txt"
        if not path.is_file():
            raise web.HTTPNotFound(text="The log of this job is not on disk.")
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        return web.FileResponse(path, headers=headers)

    async def _overview(self) -> Mapping[str, str]:
        output = display(self._output.absolute())
        histories = await self._read(self._recent.histories)
        return {"overview": overview_section(histories, output)}

    async def _job(self, request: web.Request) -> tuple[JobPage, str]:
        folder, key = self._folder(request), request.match_info["key"]
        address = f"{batch_address(folder.parent.name, folder.name)}/jobs/{quote(key, safe='')}"
        try:
            page = await self._read(lambda: job_page(folder, key, address))
        except UNREADABLE as error:
            raise web.HTTPConflict(text=str(error)) from error
        if page is None:
            raise web.HTTPNotFound(text="This batch has no such job.")
        return page, address

    def _live(self, request: web.Request) -> LiveBatch:
        folder = self._folder(request)
        live = self._open.get(folder)
        if live is None:
            live = self._open[folder] = LiveBatch(
                folder, batch_address(folder.parent.name, folder.name), self._pace
            )
        self._open.move_to_end(folder)
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)
        return live

    def _folder(self, request: web.Request) -> Path:
        """
        The folder of the batch that an address names.

        Raises:
            HTTPNotFound: there is none below the output folder.
        """
        name, batch_id = request.match_info["name"], request.match_info["id"]
        for part in (name, batch_id):
            # `%2F` arrives decoded; a hidden folder is no batch.
            if part.startswith(".") or "/" in part or "\0" in part:
                raise web.HTTPNotFound(text="There is no such batch.")
        folder = self._output / name / batch_id
        if not _is_batch(folder):
            raise web.HTTPNotFound(text="There is no such batch.")
        # `latest` is a link: its page is that of the batch, and moves on with a new one. The folder
        # of the name may be a link too, and keeps its name in addresses.
        batch = folder.with_name(Path(os.path.realpath(folder)).name)
        return batch if _is_batch(batch) else folder

    async def _read(self, function: Callable[[], T]) -> T:
        return await to_thread.run_sync(function, limiter=self._readers)


def make_app(output: Path, port: int, token: SecretStr, pace: Pace = PACE) -> web.Application:
    """
    The application with all pages, behind its guard.

    Args:
        output: the folder of all batches.
    """
    app = web.Application(middlewares=[Guard(port, token).middleware()])
    app.add_routes(Pages(output, pace).routes())
    return app


@asynccontextmanager
async def serve_pages(
    output: Path, port: int, token: SecretStr, pace: Pace = PACE
) -> AsyncIterator[str]:
    """
    Serves the pages while the context is open; yields the address with the token.

    Args:
        port: 0 for a free one.

    Raises:
        UsageError: the port cannot be used.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"port {port} of {HOST} cannot be used: {error}; choose another with --port, or "
                "none for a free one"
            ) from error
        port = listener.getsockname()[1]
        runner = web.AppRunner(
            make_app(output, port, token, pace),
            access_log=None,
            logger=HTTP_LOG,
            shutdown_timeout=1.0,
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield f"http://{HOST}:{port}/?token={token.get_secret_value()}"
        finally:
            await runner.cleanup()


def _is_batch(folder: Path) -> bool:
    try:
        return has_ledger(folder)
    except OSError:
        # Its name is too long for a file, for example.
        return False


def _page(frame: PageFrame, shown: Mapping[str, str], every: int) -> web.Response:
    data = {"version": _version(shown), "every": every, "written": frame.footer}
    return _html(b"".join(shell(frame, shown, [orjson.dumps(data)])))


def _changes(request: web.Request, shown: Mapping[str, str], every: int) -> web.Response:
    """The sections of a small page, all of them, if one has changed."""
    version = _version(shown)
    if request.query.get("since") == version:
        return web.Response(status=204)
    changes = {"version": version, "every": every, "written": _written(), "sections": shown}
    return web.Response(body=orjson.dumps(changes), content_type="application/json")


def _html(text: bytes) -> web.Response:
    answer = web.Response(body=text, content_type="text/html", charset="utf-8")
    answer.headers["Content-Security-Policy"] = f"{policy(is_live=True)}; frame-ancestors 'none'"
    return answer


def _version(shown: Mapping[str, str]) -> str:
    return hashlib.sha256("\0".join(shown.values()).encode()).hexdigest()[:16]


def _every(page: JobPage) -> int:
    return POLL_SECS if page.is_live else SLOW_POLL_SECS


def _written() -> str:
    return footer_words(datetime.now(UTC), zone_named(None))


def _problem(error: Exception) -> str:
    return section("problem", text=str(error))
