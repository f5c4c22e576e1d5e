"""
Sends a notification by Apprise, in a thread of its own.

Apprise blocks, and a service that hangs cannot be stopped. The thread is a daemon: it never delays
the end of the process. Apprise's own pools of threads would, so each URL is sent for itself.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from threading import Thread, get_ident

import anyio
from anyio import from_thread
from anyio.lowlevel import current_token

from orchestrator.extras import Extra, not_installed
from orchestrator.notifiers.addresses import without_parts


async def send(url: str, title: str, body: str, *, is_problem: bool) -> str | None:
    """
    Sends a notification to one URL; the caller sets a deadline.

    Returns:
        why it failed; None if the service accepted it.
    """
    done = anyio.Event()
    token = current_token()
    reasons: list[str | None] = []

    def work() -> None:
        try:
            reasons.append(_send(url, title, body, is_problem=is_problem))
        except Exception as error:  # noqa: BLE001 - plugins raise anything; the batch has ended
            reasons.append(without_parts(f"{type(error).__name__}: {error}", url))
        # After the deadline, the event loop may be closed.
        with suppress(RuntimeError):
            from_thread.run_sync(done.set, token=token)

    Thread(target=work, name="notification", daemon=True).start()
    await done.wait()
    return reasons[0]


def _send(url: str, title: str, body: str, *, is_problem: bool) -> str | None:
    try:
        import apprise
    except ImportError:
        return not_installed(Extra.NOTIFY)
    words = _Words()
    logger = logging.getLogger("apprise")
    logger.addHandler(words)
    # Its lines quote the URL; only the last reason is shown, without the parts of the URL.
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    try:
        asset = apprise.AppriseAsset()
        # A redirect may turn the POST into a GET, which is answered well and tells nobody.
        asset.http_redirects = False
        service = apprise.Apprise.instantiate(url, asset=asset)
        if service is None:
            return "this is not a valid URL of Apprise: see its page of services"
        kind = apprise.NotifyType.FAILURE if is_problem else apprise.NotifyType.SUCCESS
        text = apprise.NotifyFormat.TEXT
        if service.notify(body=body, title=title, notify_type=kind, body_format=text):
            return None
        return without_parts(words.reason, url)
    finally:
        logger.removeHandler(words)


class _Words(logging.Handler):
    """Keeps what Apprise logs in this thread about a failure."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = get_ident()
        self._warning = self._detail = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the last warning, and the last message of a socket."""
        if record.thread != self._thread:
            return
        said = record.getMessage()
        if record.levelno >= logging.WARNING:
            self._warning = said
        elif said.startswith("Socket Exception: "):
            self._detail = said.removeprefix("Socket Exception: ")

    @property
    def reason(self) -> str:
        """The reason in Apprise's words."""
        said = [one for one in (self._warning, self._detail) if one]
        return ": ".join(said) or "the service refused the notification"
