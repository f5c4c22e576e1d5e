from __future__ import annotations

import json

import pytest

from orchestrator.apify.policy.refusals import class_of, refusal
from orchestrator.errors import (
    ActorRefused,
    Conflict,
    ConnectionLost,
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
    TransientError,
)
from orchestrator.safe_text import SECRETS
from tests.support.openapi_requests import documented_errors

STARTS = (
    "/v2/actors/a/runs",
    "/v2/actor-tasks/a/runs",
    "/v2/actors/a/run-sync",
    "/v2/actor-tasks/a/run-sync",
    "/v2/actors/a/run-sync-get-dataset-items",
    "/v2/actor-tasks/a/run-sync-get-dataset-items",
)
EXPECTED: dict[tuple[int, str], type[PlatformError]] = {
    (400, "invalid-input"): InputRejected,
    (400, "run-failed"): RunFailed,
    (401, "invalid-token"): NotAuthorized,
    (402, "x402-payment-required"): PlanLimitReached,
    (403, "insufficient-permissions"): ActorRefused,
    (404, "record-not-found"): NotFound,
    (405, "method-not-allowed"): PermanentError,
    (408, "run-timeout-exceeded"): RequestTimeout,
    (413, "request-too-large"): InputRejected,
    (415, "unsupported-content-encoding"): InputRejected,
    (429, "rate-limit-exceeded"): RateLimited,
}
DOCUMENTED = sorted(
    {
        (method, path, status, kind)
        for path in STARTS
        for method in (("POST", "GET") if "tasks/a/run-sync" in path else ("POST",))
        for status, kind in documented_errors(method, path)
    }
)


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    DOCUMENTED,
    ids=[f"{method} {path} {status} {kind}" for method, path, status, kind in DOCUMENTED],
)
def test_documented_error_has_its_class(method: str, path: str, status: int, kind: str) -> None:
    """Each documented error of a start endpoint becomes the class that decides what follows."""
    body = json.dumps({"error": {"type": kind, "message": "Because."}}).encode()
    error = refusal(method=method, path=path, status=status, headers={}, body=body)
    assert type(error) is EXPECTED[status, kind]
    assert (error.method, error.path, error.status, error.error_type) == (
        method,
        path,
        status,
        kind,
    )
    assert "Because." in str(error)


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (402, "actor-memory-limit-exceeded", NoRoom),
        (402, "concurrent-runs-limit-exceeded", NoRoom),
        (403, "concurrent-runs-limit-exceeded", NoRoom),
        (402, "not-enough-usage-to-run-paid-actor", PlanLimitReached),
        (402, "monthly-usage-limit-too-low", PlanLimitReached),
        (402, "limit-reached", PlanLimitReached),
        (402, "some-new-type", PlanLimitReached),
        (401, "token-not-valid", NotAuthorized),
        (401, "token-not-provided", NotAuthorized),
        (403, "permission-denied", ActorRefused),
        (403, "full-permission-actor-not-approved", ActorRefused),
        (403, "actor-is-not-rented", ActorRefused),
        (400, "actor-is-not-rented", ActorRefused),
        (403, "some-new-type", ActorRefused),
        (403, "platform-feature-disabled", PlanLimitReached),
        (403, "invalid-token", NotAuthorized),
        (403, "user-disabled", NotAuthorized),
        (400, "some-new-type", InputRejected),
        (409, "some-new-type", Conflict),
        (500, "concurrent-runs-limit-exceeded", ServerFault),
        (404, "actor-not-found", NotFound),
        (400, "actor-not-found", NotFound),
        (404, "unknown-build-tag", InputRejected),
        (400, "max-items-must-be-greater-than-zero", InputRejected),
        (400, "input-json-not-object", InputRejected),
        (400, "actor-run-failed", RunFailed),
        (418, None, ServerFault),
        (400, None, ServerFault),
        (401, None, ServerFault),
        (403, None, ServerFault),
        (404, None, ServerFault),
        (402, None, ServerFault),
        (407, None, ConnectionLost),
        (413, None, InputRejected),
        (414, None, InputRejected),
        (425, None, RateLimited),
        (400, "socket-closed", RequestTimeout),
        (401, "operation-canceled", RequestTimeout),
        (429, "invalid-input", RateLimited),
        (408, None, RequestTimeout),
        (500, "invalid-input", ServerFault),
        (503, None, ServerFault),
        (302, None, ServerFault),
    ],
)
def test_class_follows_type_and_status(
    status: int, kind: str | None, expected: type[PlatformError]
) -> None:
    """A known type decides between the meanings of a status; otherwise the status decides."""
    assert class_of(status, kind) is expected


BODIES = {
    "HTML": (b"<html><title>502 Bad\nGateway</title>", "an HTML page titled '502 Bad Gateway'"),
    "nothing": (b"", "empty body"),
    "half an object": (b'{"error": {"type": "inv', "JSON that breaks off"),
    "other JSON": (b'["x"]', "not the API's error object"),
    "text": (b"upstream connect error\x1b[31m", "upstream connect error?[31m"),
}


@pytest.mark.parametrize(("body", "words"), BODIES.values(), ids=BODIES)
def test_foreign_body_is_described(body: bytes, words: str) -> None:
    """A body that is not the API's is an error that says what came instead."""
    error = refusal(method="GET", path="/v2/users/me", status=502, headers={}, body=body)
    assert type(error) is ServerFault
    assert words in str(error)


def test_page_is_not_quoted_when_the_request_had_a_body() -> None:
    """A gateway's page may repeat the input, so it is not quoted for requests with input."""
    page = b"<title>could not forward password=hunter2</title>"
    error = refusal(method="POST", path="/x", status=502, headers={}, body=page, quote_page=False)
    assert "hunter2" not in str(error)


def test_refusal_of_a_storage_on_another_host_counts() -> None:
    """After a redirect, the error page of a storage refuses a record."""
    error = refusal(
        method="GET",
        path="/x",
        status=403,
        headers={},
        body=b"<?xml version='1.0'?><Error>Request has expired</Error>",
        is_elsewhere=True,
    )
    assert type(error) is PermanentError
    assert "the storage to which the platform redirects refuses it" in str(error)
    assert "an XML page" in str(error)


def test_token_never_appears() -> None:
    """A token that the platform repeats is redacted."""
    body = b'{"error": {"type": "invalid-token", "message": "apify_api_secret is wrong"}}'
    SECRETS.add("apify_api_secret")
    error = refusal(method="GET", path="/x", status=401, headers={}, body=body)
    assert "apify_api_secret" not in str(error)
    assert "APIFY_TOKEN" in str(error)


@pytest.mark.parametrize("spaces", range(8192 - 12, 8193))
def test_part_of_a_token_never_appears(spaces: int) -> None:
    """A page is cut after so many characters, and no token in two."""
    SECRETS.add("s3cret-token")
    body = b" " * spaces + b"s3cret-token and more"
    error = refusal(method="GET", path="/v2/users/me", status=500, headers={}, body=body)
    assert "s3" not in str(error)


def test_message_is_bounded() -> None:
    """However long the platform's message is, the error stays readable."""
    body = json.dumps({"error": {"type": "invalid-input", "message": "x" * 10_000}}).encode()
    error = refusal(method="POST", path="/x", status=400, headers={}, body=body)
    assert len(str(error)) < 700


def test_approval_url_is_shown() -> None:
    """An Actor that needs approval is an error with the address for the approval."""
    error = refusal(
        method="POST",
        path="/x",
        status=403,
        headers={},
        body=json.dumps(
            {
                "error": {
                    "type": "full-permission-actor-not-approved",
                    "message": "Not approved",
                    "data": {"approvalUrl": "https://console.example/approve"},
                }
            }
        ).encode(),
    )
    assert "approve it at https://console.example/approve" in str(error)


def test_date_of_retry_after_is_of_the_platforms_clock() -> None:
    """A pause until a date is as long as its distance from the date of the answer."""
    headers = {
        "Date": "Thu, 01 Jan 2026 00:00:00 GMT",
        "Retry-After": "Thu, 01 Jan 2026 00:00:20 GMT",
    }
    error = refusal(method="GET", path="/x", status=429, headers=headers, body=b"")
    assert isinstance(error, TransientError)
    assert error.retry_after_secs == 20.0


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept(status: int) -> None:
    """The error has the wait that the platform asks for."""
    error = refusal(method="GET", path="/x", status=status, headers={"Retry-After": "7"}, body=b"")
    assert isinstance(error, TransientError)
    assert error.retry_after_secs == 7.0


def test_redirect_of_a_start_names_the_address() -> None:
    """A redirect that is not followed is an error with its address, without the query."""
    headers = {"Location": "https://other.example/v2/acts/x/runs?signature=s3cret"}
    error = refusal(method="POST", path="/x", status=301, headers=headers, body=b"")
    assert "https://other.example/v2/acts/x/runs" in str(error)
    assert "s3cret" not in str(error)
