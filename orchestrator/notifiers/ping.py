"""
Pings of a dead-man's switch, in the form of healthchecks.io.

`URL/start` says that work begins, `URL` that it succeeded, and `URL/<exit code>` that it ended with
this code, which is a failure. `URL/log` changes nothing. Source: the pages "Pinging API" and
"Signaling failures" of its documentation. A ping is a POST; its body is kept and shown there.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import aiohttp
import anyio

from orchestrator.notifiers.addresses import shown_host, without_parts
from orchestrator.version import __version__

LOG_ONLY = "log"
PAUSES_SECS = (0.5, 1.0)
"""The pauses before the second and the third try; the caller's deadline may come earlier."""


async def ping(url: str, signal: str, body: str = "") -> str | None:
    """
    Sends one ping; tries again after a failure that may pass.

    The caller sets a deadline. A ping that was sent twice has the same meaning as one.

    Args:
        signal: what follows the path of the URL.

    Returns:
        why it failed; None if it was accepted.
    """
    target = target_of(url, signal)
    headers = {"User-Agent": f"orchestrator/{__version__}"}
    reason = None
    async with aiohttp.ClientSession(trust_env=True, headers=headers) as session:
        for pause in (*PAUSES_SECS, None):
            try:
                async with session.post(target, data=body.encode()) as answer:
                    if answer.status < 400:
                        return None
                    reason = f"{shown_host(url)} answered with HTTP {answer.status}"
                    if answer.status < 500 and answer.status != 429:
                        return reason
            except (aiohttp.ClientError, OSError, ValueError) as error:
                said = without_parts(str(error) or type(error).__name__, _hidden_part(url))
                reason = f"{shown_host(url)}: {said}"
            if pause is not None:
                await anyio.sleep(pause)
    return reason


def target_of(url: str, signal: str) -> str:
    """The address of a signal: its name follows the path, before a query."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=f"{path}/{signal}" if signal else parts.path))


def _hidden_part(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[0]}/{parts.path}?{parts.query}"
