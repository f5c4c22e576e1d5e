"""
What an answer other than 2xx means: one table from HTTP status and Apify's error type to ours.

The status and the type decide, never the message. A known type decides before the status, since one
status stands for different things (402 is both "no room yet" and "no money"); but an answer that
leaves the effect open (5xx, 408) and one that refuses the caller (401, 429) is taken at its status.
A body that is not the API's (a gateway's page, nothing, half an object) is described in plain
words. With any status it is not an answer of the platform, so it refuses nothing but the size of a
request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import orjson

from orchestrator.apify.http.headers import http_date
from orchestrator.apify.http.network_environment import PROXY_ADVICE
from orchestrator.apify.policy.request_backoff import retry_after_secs
from orchestrator.errors import (
    TOO_LARGE,
    ActorRefused,
    Conflict,
    ConnectionLost,
    InputRejected,
    NoEndpoint,
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
    TransientError,
)
from orchestrator.safe_text import SECRETS, one_line

MESSAGE_CHARS = 500
EXCERPT_CHARS = 200
PAGE_CHARS = 8192
"""Of a page, in which its title or its first words are looked for."""

NO_ROOM = ("actor-memory-limit-exceeded", "concurrent-runs-limit-exceeded")
RUN_FAILED = ("actor-run-failed", "run-failed")
CUT_SHORT = (
    "operation-canceled",
    "operation-timed-out",
    "query-timeout",
    "request-aborted-prematurely",
    "run-timeout-exceeded",
    "socket-closed",
    "socket-destroyed",
)
MAY_HAVE_ACTED = frozenset({*RUN_FAILED, *CUT_SHORT})
"""The types of refusals that may follow the effect: a start that gets one is unconfirmed."""

TYPES: dict[type[PlatformError], tuple[str, ...]] = {
    NoRoom: NO_ROOM,
    PlanLimitReached: (
        "agentic-payment-info-retrieval-error",
        "agentic-payment-information-missing",
        "agentic-payment-insufficient-amount",
        "agentic-payment-provider-internal-error",
        "agentic-payment-provider-unauthorized",
        "apify-plan-required-to-use-paid-actor",
        "black-friday-plan-expired",
        "failed-to-charge-user",
        "limit-reached",
        "missing-billing-info",
        "monthly-usage-limit-too-low",
        "no-payment-method-available",
        "not-enough-usage-to-run-paid-actor",
        "platform-feature-disabled",
        "user-has-no-subscription",
        "user-problem-with-card",
        "x402-agentic-payment-already-finalized",
        "x402-agentic-payment-insufficient-amount",
        "x402-agentic-payment-malformed-token",
        "x402-agentic-payment-settlement-failed",
        "x402-agentic-payment-settlement-in-progress",
        "x402-agentic-payment-settlement-stuck",
        "x402-agentic-payment-unauthorized",
        "x402-payment-required",
    ),
    NotAuthorized: (
        "auth-method-not-supported",
        "invalid-credentials",
        "invalid-token",
        "invalid-token-type",
        "missing-api-token",
        "own-token-required",
        "token-not-provided",
        "token-not-valid",
        "user-disabled",
        "user-is-removed",
        "user-not-logged-in",
        "user-or-token-not-found",
    ),
    ActorRefused: (
        "actor-can-not-be-rented",
        "actor-disabled",
        "actor-is-not-rented",
        "actor-not-public",
        "actor-permission-level-not-supported-for-agentic-payments",
        "actor-standby-not-supported-for-agentic-payments",
        "cannot-rent-paid-actor",
        "elevated-permissions-needed",
        "full-permission-actor-blocked-for-admin",
        "full-permission-actor-not-approved",
        "insufficient-permissions",
        "missing-actor-rights",
        "permission-denied",
        "public-actor-disabled",
        "rental-not-allowed",
        "unsupported-actor-pricing-model-for-agentic-payments",
        "unsupported-permission",
    ),
    NotFound: (
        "actor-not-found",
        "default-dataset-not-found",
        "record-not-found",
        "record-or-token-not-found",
        "unexpected-route",
        "user-not-found",
    ),
    NoEndpoint: ("page-not-found",),
    InputRejected: (
        "build-not-found",
        "build-outdated",
        "input-json-invalid-characters",
        "input-json-not-object",
        "input-json-too-long",
        "invalid-build",
        "invalid-content-type-header",
        "invalid-id",
        "invalid-input",
        "invalid-input-schema",
        "invalid-parameter",
        "invalid-record-key",
        "invalid-request",
        "invalid-value",
        "max-items-must-be-greater-than-zero",
        "max-total-charge-usd-below-minimum",
        "max-total-charge-usd-must-be-greater-than-zero",
        "param-not-one-of",
        "parameter-required",
        "parameters-mismatched",
        "request-too-large",
        "requested-dataset-view-does-not-exist",
        "run-input-body-not-valid-json",
        "schema-validation",
        "schema-validation-error",
        "schema-validation-failed",
        "too-many-webhooks",
        "unknown-build-tag",
        "unsupported-content-encoding",
    ),
    Conflict: ("concurrent-update-detected",),
    RunFailed: RUN_FAILED,
    RateLimited: ("rate-limit-exceeded", "too-many-requests"),
    RequestTimeout: CUT_SHORT,
    PermanentError: (
        "cannot-remove-running-run",
        "job-finished",
        "max-metamorphs-exceeded",
        "method-not-allowed",
        "not-implemented",
        "operation-not-allowed",
    ),
}
CLASS_OF_TYPE = {name: kind for kind, names in TYPES.items() for name in names}

CLASS_OF_STATUS: dict[int, type[PlatformError]] = {
    400: InputRejected,
    401: NotAuthorized,
    402: PlanLimitReached,
    403: ActorRefused,
    404: NotFound,
    408: RequestTimeout,
    409: Conflict,
    410: NotFound,
    413: InputRejected,
    415: InputRejected,
    422: InputRejected,
    423: Conflict,
    425: RateLimited,
    429: RateLimited,
}
STATUS_DECIDES = frozenset({401, 408, 429})
# Proxies and gateways use these statuses in the platform's sense, without its error object.
CLASS_OF_PAGE: dict[int, type[PlatformError]] = {
    407: ConnectionLost,
    408: RequestTimeout,
    425: RateLimited,
    429: RateLimited,
    **dict.fromkeys(TOO_LARGE, InputRejected),
}

ADVICE: dict[type[PlatformError], str] = {
    NoEndpoint: "check APIFY_API_BASE_URL",
    NotAuthorized: "check the token (APIFY_TOKEN) and what it may do",
    PlanLimitReached: "check the plan and its limits in the account's billing settings",
}


SIZE_ADVICE = (
    "a gateway or proxy on the way takes no request of this size: make the input smaller, or raise "
    "its limit (nginx: client_max_body_size)"
)


def class_of(status: int, error_type: str | None) -> type[PlatformError]:
    """
    The error that an answer stands for.

    Args:
        status: not 2xx.
        error_type: Apify's `error.type`, also an unknown one; None where the answer has
            no error object of the API.
    """
    # In this order: no error object, a fault of the server, a known type, the status alone.
    if error_type is None:
        return CLASS_OF_PAGE.get(status, ServerFault)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerFault
    known = CLASS_OF_TYPE.get(error_type)
    if known is not None and (status not in STATUS_DECIDES or error_type in MAY_HAVE_ACTED):
        return known
    return CLASS_OF_STATUS.get(status, PermanentError)


def proves_no_effect(status: int, error_type: str | None) -> bool:
    """Whether an answer shows that the request did nothing; all else may have had its effect."""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        # A proxy's: it let nothing through.
        return True
    return (
        HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        and status != HTTPStatus.REQUEST_TIMEOUT
        and error_type is not None
        and error_type not in MAY_HAVE_ACTED
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    """
    What the body of a refusal says.

    Attributes:
        type: Apify's `error.type`; None when the body is not an error object of the API.
        message: for people, one line, bounded.
        approval_url: where an owner can allow what was refused.
    """

    type: str | None = None
    message: str
    approval_url: str | None = None


def refusal(
    *,
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    quote_page: bool = True,
    is_elsewhere: bool = False,
    asked_without_token: str | None = None,
) -> PlatformError:
    """
    The error for an answer that is not a success.

    Args:
        path: without query.
        asked_without_token: the address that a redirect led to, if the token was not sent there.
        quote_page: whether a body that is not the API's may be quoted; not where the request
            had a body of its own, which a page might repeat.
    """
    said = read_refusal(status, headers, body, quote_page=quote_page)
    kind, error_type = class_of(status, said.type), said.type
    message = said.message
    # A storage has error objects of its own; a ServerFault would be repeated for an hour.
    if is_elsewhere and kind is ServerFault and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = PermanentError
        message = f"the storage to which the platform redirects refuses it: {message}"
    # A page with 401 refuses nothing, but the token is its likely cause.
    advised = NotAuthorized if status == HTTPStatus.UNAUTHORIZED else kind
    if asked_without_token and kind is NotAuthorized:
        # It says nothing of the token, which it has not seen.
        error_type = None
        message = (
            f"the platform redirects to {one_line(asked_without_token, EXCERPT_CHARS)}, and the "
            "token is not sent to another address; if that is its address, set "
            "APIFY_API_BASE_URL to it"
        )
    elif said.approval_url:
        message = f"{message}; approve it at {said.approval_url}"
    elif status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        message = f"{message}; {PROXY_ADVICE}"
    elif said.type is None and status in TOO_LARGE:
        message = f"{message}; {SIZE_ADVICE}"
    elif advised in ADVICE:
        message = f"{message}; {ADVICE[advised]}"
    error = kind(message, method=method, path=path, status=status, error_type=error_type)
    error.had_no_effect = proves_no_effect(status, said.type)
    if isinstance(error, TransientError):
        # A date is of the platform's clock, which the machine's may differ from.
        sent_at = http_date(headers.get("Date"))
        error.retry_after_secs = retry_after_secs(headers.get("Retry-After"), sent_at)
    return error


def read_refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, quote_page: bool = True
) -> ErrorBody:
    """Reads Apify's error object, or says what there is instead of one."""
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return ErrorBody(message=_redirect(headers.get("Location", "")))
    if not body.strip():
        return ErrorBody(message=f"{_phrase(status)}, with an empty body")
    try:
        answer = orjson.loads(body)
    except ValueError:
        return ErrorBody(message=f"{_phrase(status)}, with {describe_page(body, quote=quote_page)}")
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return ErrorBody(message=f"{_phrase(status)}, with JSON that is not the API's error object")
    kind, message, data = error.get("type"), error.get("message"), error.get("data")
    url = data.get("approvalUrl") if isinstance(data, dict) else None
    return ErrorBody(
        type=kind if isinstance(kind, str) and kind else None,
        message=one_line(message, MESSAGE_CHARS) if isinstance(message, str) else _phrase(status),
        approval_url=url if isinstance(url, str) and url.startswith("https://") else None,
    )


def describe_page(body: bytes, *, quote: bool = True) -> str:
    """Says in a few words what a body is that should have been JSON."""
    if not body.strip():
        return "an empty body"
    # Redacted before it is cut, because a part of a secret is not recognised.
    text = SECRETS.redact(body[: 2 * PAGE_CHARS].decode("utf-8", "replace"))[:PAGE_CHARS]
    start = text.lstrip()[:1]
    if start == "<":
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        named = f" titled {one_line(title[1], EXCERPT_CHARS)!r}" if title and quote else ""
        language = "XML" if text.lstrip().startswith("<?xml") else "HTML"
        return f"an {language} page{named}, which is not from the API"
    if start in {"{", "["}:
        return "JSON that breaks off"
    shown = f": {one_line(text, EXCERPT_CHARS)!r}" if quote else ""
    return f"text that is not from the API{shown}"


def _redirect(location: str) -> str:
    # Without its query, which may hold a signature.
    target = one_line(location.partition("?")[0], EXCERPT_CHARS) or "nowhere"
    return (
        f"the platform redirects to {target}, which is not followed for this request; "
        "if that is its address, set APIFY_API_BASE_URL to it"
    )


def _phrase(status: int) -> str:
    try:
        return f"the platform answered {HTTPStatus(status).phrase!r}"
    except ValueError:
        return f"the platform answered with status {status}"
