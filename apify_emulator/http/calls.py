"""A request with its parameters and its body, each checked when a handler reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from apify_emulator.http.request_body import read_body
from apify_emulator.refusals import invalid_input, invalid_parameter

# Beyond this a number of JSON is not exact.
_MAX_WHOLE = 2**53
# `?desc` without a value means true.
_TRUE = frozenset({"true", "1", ""})
_FALSE = frozenset({"false", "0"})


class Call:
    """
    One request: its path parameters, its query and its body.

    Attributes:
        params: of the path, decoded.
        run_id: of the Actor process that calls; None for the account's owner.
        is_known: whether it has a valid token; False only at endpoints open to all.
        base_url: the URL of this server, without a path.
    """

    __slots__ = ("base_url", "is_known", "method", "params", "query", "request", "run_id")

    def __init__(self, request: web.BaseRequest, method: str, base_url: str) -> None:
        self.request = request
        self.method = method
        self.query = request.query
        self.params: dict[str, str] = {}
        self.run_id: str | None = None
        self.is_known = True
        self.base_url = base_url

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers, with case-insensitive names."""
        return self.request.headers

    @property
    def content_type(self) -> str:
        """The body's content type with its parameters; empty if it is missing."""
        return self.request.headers.get("Content-Type", "")

    async def body(self) -> bytes:
        """
        Returns the decompressed body.

        Raises:
            ApiError: too large (413), an unknown encoding (415), or not valid (400).
        """
        return await read_body(self.request)

    async def json(self) -> Any:
        """Returns the body as JSON; None for an empty body."""
        raw = await self.body()
        if not raw:
            return None
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as problem:
            raise invalid_input(f"The request body is not valid JSON: {problem}") from None

    async def json_object(self) -> dict[str, Any]:
        """Returns the body as a JSON object; an empty one for an empty body."""
        value = await self.json()
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise invalid_input("The request body must be a JSON object")
        return value

    def text(self, name: str, default: str = "") -> str:
        """Returns a text parameter."""
        return self.query.get(name, default)

    def names(self, name: str) -> list[str]:
        """Returns a comma-separated parameter as a list without empty parts."""
        return [part.strip() for part in self.query.get(name, "").split(",") if part.strip()]

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Returns a boolean parameter: `true`, `1`, `false` or `0`."""
        value = self.query.get(name)
        if value is None:
            return default
        word = value.lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise invalid_parameter(name, f'must be a boolean, found "{value}"')

    def number(self, name: str) -> float | None:
        """Returns a number parameter; None if it is missing or empty."""
        value = self.query.get(name)
        if not value:
            return None
        try:
            number = float(value)
        except ValueError:
            raise invalid_parameter(name, f'must be a number, found "{value}"') from None
        # `float` also reads `nan` and `inf`.
        if number != number or number in (float("inf"), float("-inf")):
            raise invalid_parameter(name, f'must be a finite number, found "{value}"')
        return number

    def count(self, name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
        """Returns a whole-number parameter, at most `most`; refuses less than `least`."""
        number = self.number(name)
        if number is None:
            return default
        if abs(number) > _MAX_WHOLE:
            raise invalid_parameter(name, f"must be at most {_MAX_WHOLE}, found {number:g}")
        if number != int(number):
            raise invalid_parameter(name, f"must be a whole number, found {number}")
        if number < least:
            raise invalid_parameter(name, f"must be at least {least}, found {int(number)}")
        return int(number) if most is None else min(int(number), most)

    def moment(self, name: str) -> float | None:
        """Returns a time parameter, in UTC without a zone; None if it is missing or empty."""
        text = self.query.get(name)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise invalid_input(
                f'"{name}" must be an ISO 8601 date and time, found "{text}"'
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp(), 3)

    def wait_secs(self, most: float = 60.0) -> float:
        """Returns `waitForFinish`, at most `most`, because clients rely on this limit."""
        seconds = self.number("waitForFinish") or 0.0
        if seconds < 0:
            raise invalid_parameter("waitForFinish", "must not be negative")
        return min(seconds, most)

    def page(self, *, most: int = 1000) -> Page:
        """Returns the requested part of a list."""
        return Page(
            offset=self.count("offset", 0),
            limit=self.count("limit", most, most=most) or most,
            desc=self.flag("desc"),
        )


def checked_number(name: str, value: Any) -> float:
    """
    Returns a number of a body.

    Raises:
        ApiError: it is not a number of 0 or more (400).
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not 0 <= value < _MAX_WHOLE
    ):
        raise invalid_input(f'"{name}" must be a number, 0 or more')
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list."""

    offset: int
    limit: int
    desc: bool

    def cut(self, rows: list[Any]) -> list[Any]:
        """Returns this part of `rows`, which are in ascending order."""
        if self.desc:
            end = max(len(rows) - self.offset, 0)
            return rows[max(end - self.limit, 0) : end][::-1]
        return rows[self.offset : self.offset + self.limit]

    def envelope(self, total: int, items: list[Any], **more: Any) -> dict[str, Any]:
        """Returns the answer of a list endpoint."""
        return {
            "total": total,
            "offset": self.offset,
            "limit": self.limit,
            "count": len(items),
            "desc": self.desc,
            "items": items,
            **more,
        }
