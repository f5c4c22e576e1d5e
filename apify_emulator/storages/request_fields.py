"""Which fields a request of a queue may have."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apify_emulator.refusals import invalid_input

_TYPES: dict[str, type | tuple[type, ...]] = {
    "url": str,
    "uniqueKey": str,
    "method": str,
    "retryCount": int,
    "loadedUrl": str,
    "payload": (str, dict),
    "headers": dict,
    "userData": dict,
    "noRetry": bool,
    "errorMessages": list,
    "handledAt": str,
}
# Without a value the default of the API applies.
_NEVER_NULL = frozenset({"url", "uniqueKey", "method", "retryCount", "userData"})
# These two say in the file of a queue what happened to a request.
_OF_THE_FILE = frozenset({"forefront", "deleted"})
_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)


def checked_request(request: dict[str, Any]) -> dict[str, Any]:
    """
    Returns a request without the nulls that stand for a default, and without fields of the file.

    Raises:
        ApiError: a field is not of its type (400).
    """
    for name, kind in _TYPES.items():
        value = request.get(name)
        if value is not None and not _is(value, kind):
            raise invalid_input(f'The field "{name}" of a request is not valid')
    if (request.get("method") or "GET") not in _METHODS:
        raise invalid_input(f'"method" must be one of {", ".join(sorted(_METHODS))}')
    if not all(isinstance(text, str) for text in request.get("errorMessages") or ()):
        raise invalid_input('"errorMessages" must be texts')
    _check_moment(request.get("handledAt"))
    return {
        name: value
        for name, value in request.items()
        if (value is not None or name not in _NEVER_NULL) and name not in _OF_THE_FILE
    }


def _is(value: Any, kind: type | tuple[type, ...]) -> bool:
    # In Python a bool is an int, in JSON it is not.
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _check_moment(text: str | None) -> None:
    if text is None:
        return
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise invalid_input(f'"handledAt" is not a date and time: "{text}"') from None
