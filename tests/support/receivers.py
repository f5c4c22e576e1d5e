"""Real servers on loopback that receive notifications and pings, and can refuse or hang."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Receiver:
    """
    A web server that stores what it receives.

    Attributes:
        received: the path and the body of each request, in their order.
        status: of its answers.
        hangs: whether it never answers.
    """

    received: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200
    hangs: bool = False
    port: int = 0
    released: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        """Its address with a key in the path, like that of a dead-man's switch."""
        return f"http://127.0.0.1:{self.port}/key-5c1f0a77"

    @property
    def notify_url(self) -> str:
        """The same for Apprise, with a password."""
        return f"json://someone:pass-9d3e@127.0.0.1:{self.port}/hook-77aa"

    @property
    def pings(self) -> list[str]:
        """The signals of the pings: `start`, an exit code, or nothing for success."""
        paths = [path for path, _ in self.received if path.startswith("/key-")]
        return [path.removeprefix("/key-5c1f0a77").removeprefix("/") for path in paths]

    @property
    def notifications(self) -> list[dict[str, Any]]:
        """The notifications: `title`, `message` and `type`."""
        return [json.loads(body) for path, body in self.received if path.startswith("/hook-")]

    @property
    def titles(self) -> list[str]:
        """The titles of the notifications."""
        return [one["title"] for one in self.notifications]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Starts a web server, and closes it at the end of the block."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            state.received.append((self.path, body))
            if state.hangs:
                state.released.wait()
            self.send_response(state.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Prints nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_port
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    """
    A mail server that stores what it accepts.

    Attributes:
        refusal: its answer to each mail; None to accept them.
    """

    mails: list[Message] = field(default_factory=list)
    refusal: str | None = None
    port: int = 0

    @property
    def notify_url(self) -> str:
        """Its address for Apprise."""
        return f"mailto://127.0.0.1:{self.port}?from=batch@example.org&to=team@example.org&mode=insecure"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Accepts or refuses a mail."""
        if self.refusal is not None:
            return self.refusal
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(message_from_bytes(content, policy=default))
        return "250 OK"


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Starts a mail server, and closes it at the end of the block."""
    box = Mailbox()
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        box.port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
