"""
Which answer of the platform is which error, by what its caller should do.

Decided by HTTP status and Apify's `error.type`, never by the message. A type in the table wins over
the status, since some statuses (402 above all) stand for opposite things; an unknown type goes by
its status.
"""

from __future__ import annotations

from http import HTTPStatus

import orjson

from orchestrator.errors import (
    InputRejected,
    NoRoom,
    NotAuthorized,
    NotFound,
    PermanentError,
    PlanLimitReached,
    PlatformError,
    RateLimited,
    RequestTimeout,
    RunFailed,
    ServerFault,
)

EXCERPT = 200

BY_TYPE: dict[str, type[PlatformError]] = {
    "actor-memory-limit-exceeded": NoRoom,
    "concurrent-runs-limit-exceeded": NoRoom,
    "not-enough-usage-to-run-paid-actor": PlanLimitReached,
    "monthly-usage-limit-too-low": PlanLimitReached,
    "limit-reached": PlanLimitReached,
    "x402-payment-required": PlanLimitReached,
    "token-not-valid": NotAuthorized,
    "invalid-token": NotAuthorized,
    "token-not-provided": NotAuthorized,
    "user-or-token-not-found": NotAuthorized,
    "run-failed": RunFailed,
    "actor-run-failed": RunFailed,
    "run-timeout-exceeded": RequestTimeout,
    "rate-limit-exceeded": RateLimited,
    "invalid-input": InputRejected,
    "schema-validation-failed": InputRejected,
    "request-too-large": InputRejected,
    "actor-not-found": NotFound,
    "record-not-found": NotFound,
    "unknown-build-tag": InputRejected,
    "build-not-found": InputRejected,
    "invalid-build": InputRejected,
    "full-permission-actor-not-approved": PermanentError,
    "actor-is-not-rented": PermanentError,
    "actor-disabled": PermanentError,
    "user-disabled": PermanentError,
    "insufficient-permissions": PermanentError,
    "permission-denied": PermanentError,
    "method-not-allowed": PermanentError,
    "unsupported-content-encoding": PermanentError,
}

BY_STATUS: dict[int, type[PlatformError]] = {
    HTTPStatus.BAD_REQUEST: InputRejected,
    HTTPStatus.UNAUTHORIZED: NotAuthorized,
    HTTPStatus.PAYMENT_REQUIRED: PlanLimitReached,
    HTTPStatus.FORBIDDEN: PermanentError,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.REQUEST_TIMEOUT: RequestTimeout,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InputRejected,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimited,
}

HINTS: dict[str, str] = {
    "token-not-valid": "check the token: APIFY_TOKEN, or `apify login` again",
    "invalid-token": "check the token: APIFY_TOKEN, or `apify login` again",
    "full-permission-actor-not-approved": "approve the Actor's permissions in the Console",
    "actor-is-not-rented": "rent the Actor in the Console",
}


def error_of(
    status: int, body: bytes, *, method: str, path: str, retry_after: str | None = None
) -> PlatformError:
    """
    The error of an answer that is none of the 2xx.

    Args:
        body: of the answer, possibly cut; untrusted.
        retry_after: the header of that name.
    """
    error_type, message = _told(body)
    kind = BY_TYPE.get(error_type or "") or BY_STATUS.get(status) or _by_class(status)
    if message is None:
        message = f"the answer is not one of Apify's API: {_excerpt(body)}"
    hint = HINTS.get(error_type or "")
    error = kind(
        f"{message}; {hint}" if hint else message,
        method=method,
        path=path,
        status=status,
        error_type=error_type,
    )
    if isinstance(error, RateLimited):
        error.retry_after_secs = _seconds(retry_after)
    return error


def _by_class(status: int) -> type[PlatformError]:
    return ServerFault if status >= HTTPStatus.INTERNAL_SERVER_ERROR else PermanentError


def _told(body: bytes) -> tuple[str | None, str | None]:
    """
    Apify's error type and message; None for what the body does not hold.
    """
    try:
        error = orjson.loads(body)["error"]
        return str(error["type"]), str(error.get("message") or error["type"])[:1000]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None, None


def _excerpt(body: bytes) -> str:
    text = " ".join(body[: EXCERPT * 4].decode("utf-8", "replace").split())
    if not text:
        return "it is empty"
    return f"{text[:EXCERPT]}…" if len(text) > EXCERPT else text


def _seconds(retry_after: str | None) -> float | None:
    try:
        return max(0.0, float(retry_after)) if retry_after is not None else None
    except ValueError:
        return None
