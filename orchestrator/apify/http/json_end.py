"""Whether JSON has come to its end, in an answer that does not say where it ends."""

from __future__ import annotations

import re
from collections.abc import Mapping

# An escape is one token, so that a quote in it does not end its string.
TOKEN = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)


class JsonEnd:
    """
    Follows JSON, or JSON Lines, as it arrives.

    A body with neither a length nor chunks ends with its connection, as in HTTP/1.0. Nothing but
    its content then tells one that broke off from a whole one.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Takes the next bytes."""
        data = self._rest + data
        # An escape may be cut where two pieces meet.
        backslashes = len(data) - len(data.rstrip(b"\\"))
        self._rest = b"\\" * (backslashes % 2)
        for token in TOKEN.findall(data, 0, len(data) - len(self._rest)):
            if token == b'"':
                self._in_string = not self._in_string
            elif not self._in_string and len(token) == 1:
                self._depth += 1 if token in b"[{" else -1

    @property
    def is_open(self) -> bool:
        """Whether a string, a list or an object has not ended."""
        return self._in_string or self._depth > 0


def json_end_of(headers: Mapping[str, str]) -> JsonEnd | None:
    """What finds the end of such a body; None for others: its framing does, or nothing can."""
    if "Content-Length" in headers or "Transfer-Encoding" in headers:
        return None
    return JsonEnd() if "json" in headers.get("Content-Type", "") else None
