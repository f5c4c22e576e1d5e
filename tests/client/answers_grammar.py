"""
A grammar of answers: status, headers, body and framing, from one seed for each case.

Most parts are right in most cases, so that tests reach the code behind a first check too.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

STATUSES = (
    100, 101, 103, 199, 202, 203, 204, 205, 206, 226, 299, 300, 301, 302, 303, 304, 307, 308, 399,
    400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 418, 422, 425, 429, 451, 499, 500, 501,
    502, 503, 504, 520, 599,
)  # fmt: skip
ODD_STATUSES = ("0", "99", "600", "999", "2OO", "-1", "", "20000000000000000000")
NUMBERS = (
    "0", "1", "-1", "5", "1e3", "1.5", "9" * 18, "9" * 19, "9" * 400, "9" * 5000, "NaN",
    "Infinity", "\u0661", "0x10", "1_000", "", " 7 ",
)  # fmt: skip
DATES = (
    "Thu, 01 Jan 2026 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Mon, 01 Jan 99999999999999 00:00:00 GMT",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "soon",
)
TEXTS = (
    "", "a", "x" * 300, "\x1b[2J", "\u202eevil", "a\nb", "\x00", "..", ".", "a/b", "%2e", "ü",
    "\U0001f600", "None", "'; DROP", "9" * 50,
)  # fmt: skip
LOCATIONS = (
    "", "/v2/elsewhere", "//", "http://", "http://[::1", "http://h:99999/", "http://h:x/", "ftp://h/",
    "javascript:1", "http://" + "a" * 80 + "/", "http://127.0.0.1:1/", "\u00fc", "/a b", "?" * 3000,
    "http://.../", "http://xn--\u00fc/",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**31, 2**53, 2**63, 2**64 - 1, 10**40, 1e300, -1e-300, 1.5, [], {},
    [[]], [None], {"a": None}, *TEXTS,
)  # fmt: skip
TYPES = (
    "rate-limit-exceeded", "actor-memory-limit-exceeded", "concurrent-runs-limit-exceeded",
    "invalid-input", "record-not-found", "insufficient-permissions", "platform-feature-disabled",
    "run-failed", "run-timeout-exceeded", "token-not-valid", "never-seen-before", "", "x" * 5000,
    "a\nb",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """
    An answer in bytes.

    Attributes:
        status: 0 if the status line is not HTTP.
        body: before it was compressed or framed.
        head, pieces: the bytes that are sent.
        then: what follows them: `keep`, `close`, `reset`, `silence` or `endless`.
    """

    status: int
    body: bytes
    head: bytes
    pieces: tuple[bytes, ...]
    then: str

    @property
    def proves_no_effect(self) -> bool:
        """Whether it is a refusal of the API itself, after which a start may be sent again."""
        try:
            error = json.loads(self.body)["error"]["type"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        return isinstance(error, str) and 400 <= self.status < 500 and self.status != 408


def answer(rng: random.Random, right: Callable[[random.Random], Any], *, is_raw: bool) -> Answer:
    """
    An answer to a request.

    Args:
        right: the answer of the API.
        is_raw: whether that is bytes instead of the value of `data`.
    """
    status = _status(rng)
    code = int(status) if status.isdecimal() and len(status) == 3 else 0
    body = _body(rng, right, code, is_raw=is_raw)
    headers = _headers(rng)
    wire, headers = _encoded(rng, body, headers)
    return _framed(rng, status, code, body, wire, headers)


def _status(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.5:
        return "200"
    return str(rng.choice(STATUSES)) if roll < 0.95 else rng.choice(ODD_STATUSES)


def _body(
    rng: random.Random, right: Callable[[random.Random], Any], code: int, *, is_raw: bool
) -> bytes:
    if code >= 400 and rng.random() < 0.6:
        error = {"type": rng.choice(TYPES), "message": rng.choice(TEXTS)}
        return json.dumps({"error": _mutated(rng, error)}).encode()
    value = right(rng)
    good = value if is_raw else json.dumps({"data": _mutated(rng, value)}).encode()
    match rng.randrange(12):
        case 0:
            return b""
        case 1:
            return good[: rng.randrange(len(good) + 1)]
        case 2:
            return b"<html><head><title>\x1b[2J Gateway \xff</title></head>" + b"x" * 2000
        case 3:
            return rng.choice(
                (b"null", b"[]", b"0", b'"x"', b"{}", b'{"data":null}', b'{"error":7}')
            )
        case 4:
            return b'{"data":' * rng.choice((10, 5000)) + b"1"
        case 5:
            return b'{"data":{"id":"\\ud800","status":NaN,"x":1e999}}'
        case 6:
            return rng.randbytes(rng.choice((1, 100, 5000)))
        case _:
            return good


def _mutated(rng: random.Random, value: Any) -> Any:
    """The value with some of its parts replaced, removed or repeated."""
    if rng.random() < 0.04:
        return rng.choice(VALUES)
    match value:
        case dict():
            kept = {key: _mutated(rng, each) for key, each in value.items() if rng.random() > 0.03}
            return kept | ({rng.choice(TEXTS): rng.choice(VALUES)} if rng.random() < 0.1 else {})
        case list():
            return [_mutated(rng, each) for each in value]
        case _:
            return value


def _headers(rng: random.Random) -> list[tuple[str, str]]:
    pools: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("Retry-After", NUMBERS + DATES),
        ("X-RateLimit-Limit", NUMBERS),
        ("Date", DATES),
        ("Location", LOCATIONS),
        ("X-Apify-Pagination-Total", NUMBERS),
        ("X-Apify-Pagination-Limit", NUMBERS),
        ("X-Apify-Pagination-Offset", NUMBERS),
        ("X-Apify-Pagination-Count", NUMBERS),
        ("X-Apify-Pagination-Desc", TEXTS),
        ("Content-Type", (*TEXTS, "text/html", "application/json", "image/png", "a/b; c=" * 99)),
        ("Set-Cookie", TEXTS),
        ("X-Odd", TEXTS),
        ("Connection", ("close", "keep-alive", "upgrade", "")),
        ("Upgrade", ("websocket", "h2c")),
    )
    chosen = [("X-Apify-Pagination-Total", "2")] if rng.random() < 0.7 else []
    for name, values in pools:
        if rng.random() < 0.12:
            value = rng.choice(values)
            if rng.random() < 0.95:
                value = value.replace("\n", " ").replace("\x00", "")
            chosen.append((name, value))
    if rng.random() < 0.02:
        chosen.append(("X-Long", "y" * rng.choice((8000, 70_000))))
    rng.shuffle(chosen)
    return chosen


def _encoded(
    rng: random.Random, body: bytes, headers: list[tuple[str, str]]
) -> tuple[bytes, list[tuple[str, str]]]:
    if rng.random() < 0.75:
        return body, headers
    packed = gzip.compress(body, 1)
    match rng.randrange(7):
        case 0:
            return packed, [*headers, ("Content-Encoding", "gzip")]
        case 1:
            return packed[: rng.randrange(len(packed))], [*headers, ("Content-Encoding", "gzip")]
        case 2:
            return packed + b"rest", [*headers, ("Content-Encoding", "gzip")]
        case 3:
            return body, [*headers, ("Content-Encoding", "gzip")]
        case 4:
            return bomb(), [*headers, ("Content-Encoding", "gzip")]
        case _:
            named = rng.choice(
                ("br", "zstd", "deflate", "gzip, gzip", "\u00fc", "x" * 500, "GZIP ")
            )
            return packed, [*headers, ("Content-Encoding", named)]


@cache
def bomb() -> bytes:
    """Twenty megabytes that compress to twenty kilobytes."""
    return gzip.compress(b"0" * 20_000_000, 9)


def _framed(
    rng: random.Random,
    status: str,
    code: int,
    body: bytes,
    wire: bytes,
    headers: list[tuple[str, str]],
) -> Answer:
    then = rng.choices(("keep", "close", "reset", "silence", "endless"), (80, 10, 6, 1, 3), k=1)[0]
    pieces: tuple[bytes, ...] = (wire,)
    roll = rng.random()
    if then == "endless" or roll < 0.2:
        headers = [*headers, ("Transfer-Encoding", "chunked")]
        chunks = [wire[:7], wire[7:]] if wire[7:] else [wire]
        framed = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks if chunk]
        end = rng.choice((b"0\r\n\r\n",) * 9 + (b"", b"zz\r\n", b"-5\r\n"))
        pieces = (*framed, b"" if then == "endless" else end)
    elif roll < 0.85:
        length = str(len(wire))
        if rng.random() < 0.1:
            length = rng.choice((*NUMBERS, str(len(wire) + 5), str(max(len(wire) - 5, 0))))
        headers = [*headers, ("Content-Length", length)]
    elif roll < 0.88:
        headers = [*headers, ("Content-Length", "1"), ("Content-Length", "2")]
    line = rng.choices((f"HTTP/1.1 {status} Word", "HTTP/9.9 200 OK", "nonsense"), (97, 1, 2))[0]
    lines = [line, *(f"{name}: {value}" for name, value in headers)]
    head = "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n"
    return Answer(code, body, head, pieces, then)


def right_run(rng: random.Random) -> dict[str, Any]:
    """A run."""
    return {
        "id": f"run{rng.randrange(10**9)}",
        "actId": "actor1",
        "status": rng.choice(("READY", "RUNNING", "SUCCEEDED", "FAILED", "EVICTED")),
        "statusMessage": rng.choice(TEXTS),
        "startedAt": rng.choice(("2026-01-02T03:04:05.678Z", "0001-01-01T00:00:00+23:59", "x")),
        "finishedAt": rng.choice((None, "2026-01-02T03:04:05.678Z", "9999-12-31T23:59:59Z")),
        "exitCode": rng.choice((None, 0, 1, 10**19)),
        "usageTotalUsd": rng.choice((None, 0.1, 1e300, "Infinity")),
        "options": {"memoryMbytes": 1024, "timeoutSecs": 60},
        "meta": {"origin": "API", "userAgent": "x"},
        "stats": {"resurrectCount": 0},
        "defaultDatasetId": "data1",
        "defaultKeyValueStoreId": "store1",
    }


def right_list(rng: random.Random) -> dict[str, Any]:
    """A page of runs."""
    runs = [right_run(rng) for _ in range(rng.randrange(3))]
    return {"total": len(runs), "offset": 0, "limit": 1000, "count": len(runs), "items": runs}


def right_keys(rng: random.Random) -> dict[str, Any]:
    """A page of keys; half of the pages say that more follow."""
    more = rng.random() < 0.5
    return {
        "items": [{"key": rng.choice(TEXTS) or "k", "size": 3} for _ in range(rng.randrange(3))],
        "isTruncated": more,
        "nextExclusiveStartKey": rng.choice(TEXTS) if more else None,
    }


def right_limits(_rng: random.Random) -> dict[str, Any]:
    """An account's limits."""
    return {
        "limits": {
            "maxConcurrentActorJobs": 25,
            "maxActorMemoryGbytes": 32,
            "dataRetentionDays": 7,
        },
        "current": {"activeActorJobCount": 1, "actorMemoryGbytes": 1},
        "monthlyUsageCycle": {"startAt": "2026-01-01T00:00:00Z", "endAt": "2026-02-01T00:00:00Z"},
    }


def right_lines(rng: random.Random) -> bytes:
    """Two items."""
    return b'{"a":1}\n{"a":"\x1b\xc2\x9b"}\n' * rng.choice((1, 1, 1, 500))
