"""A gateway between the command and a platform that changes some of the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

HOP = {"transfer-encoding", "connection", "content-length"}


@dataclass
class Answer:
    """
    An answer of the platform that a test may change.

    Attributes:
        claims: the length in the header; None for the true one.
        then: the text that is written after the body in chunks, piece by piece; the answer ends
            with it.
    """

    path: str
    status: int
    headers: dict[str, str]
    body: bytes
    claims: int | None = None
    then: Iterator[bytes] | None = field(default=None)


@contextmanager
def gateway(url: str, tamper: Callable[[Answer], None]) -> Iterator[str]:
    """Starts a gateway to the platform at `url`; gives its address."""
    target = urlsplit(url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            # The client may close the connection in the middle of an answer.
            with suppress(OSError):
                super().handle()

        def _pass_on(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length) if length else None
            headers = {**self.headers, "Accept-Encoding": "identity", "Host": target.netloc}
            platform = HTTPConnection(target.hostname or "", target.port, timeout=90)
            try:
                platform.request(self.command, self.path, body, headers)
                reported = platform.getresponse()
                answer = Answer(
                    self.path, reported.status, dict(reported.getheaders()), reported.read()
                )
            finally:
                platform.close()
            tamper(answer)
            self._reply(answer)

        def _reply(self, answer: Answer) -> None:
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            if answer.then is None:
                claims = len(answer.body) if answer.claims is None else answer.claims
                self.send_header("Content-Length", str(claims))
            else:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if answer.then is None:
                self.wfile.write(answer.body)
            for piece in answer.then or ():
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.close_connection = answer.claims is not None or answer.then is not None

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - names of the base

        def log_message(self, *_told: Any) -> None:
            """Prints nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
