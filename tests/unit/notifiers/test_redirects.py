"""A web server that redirects, as those do that want `https`."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from orchestrator.notifiers.apprise_thread import send

pytest.importorskip("apprise", reason="the extra `notify` is not installed")


class Moved(BaseHTTPRequestHandler):
    """Sends each POST elsewhere, where a GET succeeds and nobody reads the message."""

    def do_POST(self) -> None:
        """Redirects."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(301)

    def do_GET(self) -> None:
        """Answers with a page."""
        self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_notification_that_is_redirected_has_failed() -> None:
    """Its message would be lost, so it does not count as sent."""
    server = HTTPServer(("127.0.0.1", 0), Moved)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"json://127.0.0.1:{server.server_port}/hook"
        reason = await send(url, "title", "body", is_problem=True)
        followed = await send(f"{url}?redirect=yes", "title", "body", is_problem=True)
    finally:
        server.shutdown()
        server.server_close()
    assert reason is not None
    assert "301" in reason
    assert followed is None
