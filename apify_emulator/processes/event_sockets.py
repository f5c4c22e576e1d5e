"""The events websocket: the events that an Actor's process receives while it runs."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any

import anyio
import orjson
from aiohttp import WSMsgType, web

from apify_emulator.runs.run_usage import RunUsage, usage_stats
from apify_emulator.times import iso, now

SEND_SECS = 2.0
_OVERLOADED_PERCENT = 95.0 * (os.cpu_count() or 1)


class EventSockets:
    """The open websockets, by run."""

    def __init__(self) -> None:
        self._open: defaultdict[str, set[web.WebSocketResponse]] = defaultdict(set)

    def has_listener(self, run_id: str) -> bool:
        """Returns whether the run's process listens for events."""
        return bool(self._open.get(run_id))

    async def serve(self, request: web.BaseRequest, run_id: str) -> web.WebSocketResponse:
        """Keeps a websocket open until its peer closes it; ignores what the peer sends."""
        socket = web.WebSocketResponse(heartbeat=30)
        await socket.prepare(request)
        self._open[run_id].add(socket)
        try:
            # Crawlers wait for the first one before they start.
            await _send(socket, "systemInfo", _system_info(RunUsage()))
            async for message in socket:
                if message.type in (WSMsgType.ERROR, WSMsgType.CLOSE):
                    break
        finally:
            self._open[run_id].discard(socket)
            if not self._open[run_id]:
                del self._open[run_id]
        return socket

    async def send_usage(self, run_id: str, usage: RunUsage) -> None:
        """Tells a run's process what it uses."""
        await self.send(run_id, "systemInfo", _system_info(usage))

    async def send(self, run_id: str, name: str, data: dict[str, Any] | None = None) -> None:
        """Sends an event to a run's process, if it listens; never raises, never waits long."""
        # A copy, because a socket that closes meanwhile removes itself.
        for socket in tuple(self._open.get(run_id, ())):
            with anyio.move_on_after(SEND_SECS):
                await _send(socket, name, data)


def _system_info(usage: RunUsage) -> dict[str, Any]:
    # The emulator does not limit a run, so only the whole machine can be overloaded.
    is_overloaded = usage.cpu_current > _OVERLOADED_PERCENT
    return {**usage_stats(usage), "isCpuOverloaded": is_overloaded}


async def _send(socket: web.WebSocketResponse, name: str, data: dict[str, Any] | None) -> None:
    event: dict[str, Any] = {"name": name, "createdAt": iso(now())}
    if data is not None:
        event["data"] = {**data, "createdAt": event["createdAt"]}
    try:
        await socket.send_str(orjson.dumps(event).decode())
    except (ConnectionError, RuntimeError):
        # The process has ended or is ending, so it needs no event.
        return
