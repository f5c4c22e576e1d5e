"""What both kinds of real HTTP share: reading an answer's body, and naming what went wrong."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientPayloadError,
    ClientProxyConnectionError,
    ConnectionTimeoutError,
    ServerDisconnectedError,
    StreamReader,
)
from aiohttp.http_exceptions import HttpProcessingError, PayloadEncodingError

from orchestrator.apify.http.encodings import decoder_for
from orchestrator.apify.http.headers import whole_number
from orchestrator.apify.http.json_end import json_end_of
from orchestrator.apify.http.network_environment import PROXY_ADVICE
from orchestrator.apify.http.transport import Request
from orchestrator.errors import (
    ConnectionLost,
    PlatformError,
    RequestTimeout,
    ServerFault,
    TruncatedBody,
)
from orchestrator.system_errors import OUT_OF_DESCRIPTORS, too_many

FAILURES = (ClientError, HttpProcessingError, TimeoutError, OSError, UnicodeError)
"""
All that aiohttp raises for what happens on the way; UnicodeError for a host that cannot be one.
"""


class Answer:
    """An answer whose body is still to be read; see `Response`."""

    __slots__ = ("_content", "_request", "headers", "status")

    def __init__(
        self, status: int, headers: Mapping[str, str], content: StreamReader, request: Request
    ) -> None:
        self.status = status
        self.headers = headers
        self._content = content
        self._request = request

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body, decoded."""
        # The length of an encoded body says nothing about its decoded size, which has the limit.
        if "Content-Encoding" not in self.headers:
            content = self._content
            # A small body arrives together with its headers: nothing to wait for then.
            is_there = content.is_eof()
            length = content.total_bytes if is_there else self._length()
            if length is not None:
                if length > limit_bytes:
                    raise self._too_long(limit_bytes)
                try:
                    return content.read_nowait() if is_there else await content.read()
                except FAILURES as error:
                    raise failure(error, self._request, answered=True) from error
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > limit_bytes:
                raise self._too_long(limit_bytes)
        return bytes(body)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, decoded, in pieces as they arrive."""
        try:
            encoding = self.headers.get("Content-Encoding")
            decoder = None if encoding is None else decoder_for(encoding)
            json_end = None if decoder is not None else json_end_of(self.headers)
            content = self._content
            # A small body arrives together with its headers: nothing to wait for then.
            while chunk := content.read_nowait() if content.is_eof() else await content.readany():
                if decoder is None:
                    if json_end is not None:
                        json_end.feed(chunk)
                    yield chunk
                    continue
                for text in decoder.feed(chunk):
                    yield text
            if decoder is not None:
                decoder.finish()
            elif json_end is not None and json_end.is_open:
                raise TruncatedBody("the connection ended in the middle of the answer")
        except PlatformError as error:
            _place(error, self._request)
            raise
        except FAILURES as error:
            raise failure(error, self._request, answered=True) from error

    def _length(self) -> int | None:
        return whole_number(self.headers.get("Content-Length"))

    def _too_long(self, limit_bytes: int) -> PlatformError:
        return _place(ServerFault(f"the answer is longer than {limit_bytes} bytes"), self._request)


def failure(error: Exception, request: Request, *, answered: bool = False) -> PlatformError:
    """
    Our word for what went wrong on the way.

    Args:
        answered: whether the headers of an answer had arrived.
    """
    return _place(_named(error, request, answered), request)


def _place(error: PlatformError, request: Request) -> PlatformError:
    error.method = error.method or request.method
    error.path = error.path or urlsplit(request.url).path
    return error


def _named(error: Exception, request: Request, answered: bool) -> PlatformError:
    host = urlsplit(request.url).netloc
    # Subclasses come before their classes. The first six cases never reached the platform.
    match error:
        case ConnectionTimeoutError():
            return _unsent(f"no connection to {host} within {request.deadlines.connect:g} s")
        case ClientConnectorCertificateError():
            return _unsent(f"the certificate of {host} is not trusted {_certificate_advice(error)}")
        case ClientProxyConnectionError():
            return _unsent(f"no connection to the proxy for {host} ({reason_of(error)})")
        case ClientConnectorError():
            return _unsent(f"no connection to {host} ({reason_of(error)})")
        case UnicodeError():
            return _unsent(f"no connection to {host} (it cannot be the name of a host)")
        case ClientHttpProxyError():
            advice = (
                f"; {PROXY_ADVICE}"
                if error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
                else ""
            )
            return _unsent(
                f"the proxy refuses a connection to {host} (HTTP {error.status}){advice}"
            )
        case TimeoutError():
            return RequestTimeout(
                f"{host} was silent in the middle of its answer"
                if answered
                else f"{host} did not answer in time"
            )
        case ClientPayloadError() | PayloadEncodingError():
            return TruncatedBody("the connection broke in the middle of the answer")
        case ClientConnectionError() | OSError():
            return ConnectionLost(f"the connection to {host} broke ({reason_of(error)})")
        case _:
            return ServerFault(f"the answer of {host} is not HTTP")


def _certificate_advice(error: ClientConnectorCertificateError) -> str:
    found = error.certificate_error
    if not isinstance(found, ssl.SSLCertVerificationError):
        return f"({found})"
    # OpenSSL's numbers (`X509_V_ERR_…`), which Python does not name.
    match found.verify_code:
        case 9 | 10:
            advice = "have it renewed, or correct the clock of this machine"
        case 62 | 64:
            advice = "use a name that it is for, in APIFY_API_BASE_URL"
        case _:
            advice = "name its authority's file in SSL_CERT_FILE"
    return f"({found.verify_message.rstrip('.')}); {advice}"


def _unsent(message: str) -> ConnectionLost:
    error = ConnectionLost(message)
    error.had_no_effect = True
    return error


def reason_of(error: Exception) -> str:
    """What the error of the HTTP library says, in words."""
    if isinstance(error, OSError) and error.errno in OUT_OF_DESCRIPTORS:
        return too_many(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ServerDisconnectedError):
        # Its text is all that had arrived of the headers, or two words.
        return "the server closed it"
    return str(error)[:200] or type(error).__name__
