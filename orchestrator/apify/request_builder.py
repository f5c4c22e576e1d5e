"""Builds requests: address, headers, deadlines, and the body as it is sent."""

from __future__ import annotations

from anyio import to_thread

from orchestrator.apify.http.encodings import ACCEPTED, compress
from orchestrator.apify.http.transport import Deadlines, Headers, Request
from orchestrator.apify.options import ClientOptions
from orchestrator.apify.urls import MAX_WAIT_SECS, check_body
from orchestrator.model.ids import Mark
from orchestrator.platform_address import root_of

# To compress more than this would hold up the event loop for several milliseconds.
COMPRESS_IN_THREAD_BYTES = 128 * 1024


class RequestBuilder:
    """
    Builds the requests of one client.

    A `place` is a path with its query; a `wait_secs` is how long the platform may hold its answer.

    Attributes:
        root: the platform's address, without `/v2`.
        path_prefix: of Actors, `acts` or `actors`.
    """

    def __init__(self, options: ClientOptions) -> None:
        self.root = root_of(options.base_url)
        self.path_prefix = options.path_prefix
        self._user_agent = options.user_agent
        self._headers = _headers(options, "identity")
        self._compressed_headers = Headers({**self._headers, "Accept-Encoding": ACCEPTED})
        small = Deadlines(
            connect=options.connect_timeout_secs,
            first_byte=options.first_byte_timeout_secs,
            silence=options.silence_timeout_secs,
            whole=options.whole_timeout_secs,
        )
        # Built once for each wait: every poll needs one, and a batch polls thousands of times.
        self._waits = [
            small._replace(
                first_byte=options.first_byte_timeout_secs + secs,
                whole=options.whole_timeout_secs + secs,
            )
            for secs in range(MAX_WAIT_SECS + 1)
        ]
        # One deadline for all phases: it also tells the search for a lost start when to begin.
        self._starts = [
            small._replace(first_byte=whole, whole=whole)
            for secs in range(MAX_WAIT_SECS + 1)
            for whole in (options.start_deadline_secs + secs,)
        ]
        self._streamed = small._replace(whole=None)
        # The platform sends nothing until the run has ended, so the first byte may take that long.
        self._held = self._streamed._replace(
            first_byte=options.sync_wait_secs + options.start_deadline_secs
        )

    def small(self, method: str, place: str, *, wait_secs: int = 0) -> Request:
        """A request with a small answer, which is not worth compressing."""
        return Request(method, f"{self.root}{place}", self._headers, self._waits[wait_secs])

    def large(self, place: str, *, wait_secs: int = 0) -> Request:
        """A GET with an answer that is read whole and may be large."""
        url = f"{self.root}{place}"
        return Request("GET", url, self._compressed_headers, self._waits[wait_secs])

    def streamed(self, place: str, *, silence_secs: float | None = None) -> Request:
        """
        A GET with an answer of any length.

        Args:
            silence_secs: how long nothing may arrive; as the client's options say when None.
        """
        deadlines = self._streamed
        if silence_secs is not None:
            deadlines = deadlines._replace(first_byte=silence_secs, silence=silence_secs)
        return Request("GET", f"{self.root}{place}", self._compressed_headers, deadlines)

    async def validation(self, place: str, body: bytes) -> Request:
        """A POST of an input that starts nothing."""
        check_body(body)
        headers, body = await _packed(body, "application/json", {**self._headers})
        return Request("POST", f"{self.root}{place}", headers, self._waits[0], body)

    async def start(
        self,
        place: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        mark: Mark | None,
        wait_secs: int = 0,
    ) -> Request:
        """A POST that starts a run."""
        headers, body = await self._start_parts("identity", body, content_type, mark)
        return Request("POST", f"{self.root}{place}", headers, self._starts[wait_secs], body)

    async def held_start(
        self, method: str, place: str, *, body: bytes | None, content_type: str, mark: Mark | None
    ) -> Request:
        """A request that starts a run and is answered at its end."""
        headers, body = await self._start_parts(ACCEPTED, body, content_type, mark)
        return Request(method, f"{self.root}{place}", headers, self._held, body)

    async def _start_parts(
        self, accepted: str, body: bytes | None, content_type: str, mark: Mark | None
    ) -> tuple[Headers, bytes | None]:
        check_body(body)
        # A copy: what is set below belongs to this one request.
        headers = {**self._headers, "Accept-Encoding": accepted}
        # The platform keeps the User-Agent with the run, where it survives a lost answer.
        if mark is not None:
            headers["User-Agent"] = f"{self._user_agent} (attempt {mark})"
        if body is None:
            return Headers(headers), None
        return await _packed(body, content_type, headers)


async def _packed(body: bytes, content_type: str, headers: dict[str, str]) -> tuple[Headers, bytes]:
    """Headers, to which those of the body are added, and the body, compressed where that helps."""
    headers["Content-Type"] = content_type
    if len(body) > COMPRESS_IN_THREAD_BYTES:
        packed = await to_thread.run_sync(compress, body)
    else:
        packed = compress(body)
    if packed is None:
        return Headers(headers), body
    headers["Content-Encoding"] = "gzip"
    return Headers(headers), packed


def _headers(options: ClientOptions, accepted: str) -> Headers:
    headers = {
        "Accept": "*/*",
        "Accept-Encoding": accepted,
        "User-Agent": options.user_agent,
    }
    if options.token is not None:
        headers["Authorization"] = f"Bearer {options.token.get_secret_value()}"
    return Headers(headers)
