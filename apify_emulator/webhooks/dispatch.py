"""How a webhook is delivered: to this machine only, with retries."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio

from apify_emulator.account import USER_ID
from apify_emulator.times import iso, now

MAX_TRIES = 4


_FIRST_PAUSE_SECS = 1.0


_DELIVERY_SECS = 120.0


@dataclass(slots=True, kw_only=True)
class Dispatch:
    """One delivery."""

    id: str
    webhook_id: str
    event_type: str
    event_data: dict[str, Any]
    created_at: float
    status: str = "ACTIVE"
    calls: list[dict[str, Any]] = field(default_factory=list)


async def deliver(
    url: str, dispatch: Dispatch, body: bytes, further: dict[str, str], *, tries: int
) -> None:
    """
    Sends an event to a webhook's URL and records the result in the dispatch. Never raises.

    Args:
        further: headers of the webhook; those that the platform sets itself win.
    """
    # A test must not call other machines.
    if not _is_loopback(url):
        fail(dispatch, "the emulator calls loopback addresses only")
        return
    pause = _FIRST_PAUSE_SECS
    own = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Apify-Webhook": "true",
        "X-Apify-Webhook-Dispatch-Id": dispatch.id,
        "X-Apify-Request-Origin": "WEBHOOK",
    }
    fixed = {name.lower() for name in own} | {"host", "content-length"}
    kept = {name: value for name, value in further.items() if name.lower() not in fixed}
    headers = {**kept, **own}
    timeout = aiohttp.ClientTimeout(total=_DELIVERY_SECS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for attempt in range(tries):
            if attempt:
                await anyio.sleep(pause)
                pause *= 2
            if await _call(session, url, headers, body, dispatch):
                dispatch.status = "SUCCEEDED"
                return
    dispatch.status = "FAILED"


def fail(dispatch: Dispatch, problem: str) -> None:
    """Records that nothing could be sent."""
    _note(dispatch, None, problem)
    dispatch.status = "FAILED"


async def _call(
    session: aiohttp.ClientSession,
    url: str,
    headers: dict[str, str],
    body: bytes,
    dispatch: Dispatch,
) -> bool:
    try:
        # No redirects, because one could lead to another machine.
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            _note(dispatch, answer.status, None)
            return 200 <= answer.status < 300
    # A header of the webhook may have a line break.
    except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
        _note(dispatch, None, str(problem))
        return False


def _note(dispatch: Dispatch, status: int | None, problem: str | None) -> None:
    moment = iso(now())
    dispatch.calls.append(
        {
            "startedAt": moment,
            "finishedAt": moment,
            "errorMessage": problem,
            "responseStatus": status,
            "responseBody": None,
        }
    )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def dispatch_view(dispatch: Dispatch) -> dict[str, Any]:
    """Returns a delivery as the API shows it."""
    return {
        "id": dispatch.id,
        "userId": USER_ID,
        "webhookId": dispatch.webhook_id,
        "createdAt": iso(dispatch.created_at),
        "status": dispatch.status,
        "eventType": dispatch.event_type,
        "eventData": dispatch.event_data,
        "calls": dispatch.calls,
    }
