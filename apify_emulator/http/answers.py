"""
An answer before it is sent, as plain data.

Handlers never touch the socket, so that faults can change any answer and tests can check every one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from apify_emulator.http.chunks import Chunks
from apify_emulator.refusals import ApiError

JSON = "application/json; charset=utf-8"


@dataclass(slots=True)
class Answer:
    """
    An answer before it is sent.

    Attributes:
        body: whole, or in pieces that are read as fast as the peer receives them.
        length: of a body in pieces, if it is known before.
        may_compress: whether a peer that accepts gzip gets it.
    """

    status: int = 200
    body: bytes | Chunks = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    may_compress: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """
    A request and its answer, for tests that check every answer.

    Attributes:
        path: of the request, without the query.
        body: None for a body in pieces.
    """

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes | None


def data(value: Any, *, status: int = 200, location: str | None = None) -> Answer:
    """Answers with a value in Apify's envelope."""
    answer = Answer(status=status, body=b'{"data":' + orjson.dumps(value) + b"}")
    if location is not None:
        answer.headers["Location"] = location
    return answer


def plain(value: Any, *, status: int = 200) -> Answer:
    """Answers with a JSON value without an envelope."""
    return Answer(status=status, body=orjson.dumps(value))


def nothing(status: int = 204) -> Answer:
    """Answers without a body."""
    return Answer(status=status)


def refusal(error: ApiError) -> Answer:
    """Answers with a refusal."""
    return Answer(status=error.status, body=orjson.dumps(error.envelope()))
