"""
Which refusals the platform answers with: status, type and words of each.

The types are those of the official description's `ErrorType`. Handlers raise; the server alone
turns a refusal into an answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class ApiError(Exception):
    """
    A request that is refused.

    Attributes:
        status: the HTTP status.
        error_type: `error.type` of the answer.
        message: `error.message` of the answer.
        data: `error.data`; None leaves it out.
    """

    def __init__(
        self, status: int, error_type: str, message: str, *, data: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message
        self.data = data

    def envelope(self) -> dict[str, Any]:
        """Returns the body of the answer."""
        error: dict[str, Any] = {"type": self.error_type, "message": self.message}
        if self.data is not None:
            error["data"] = self.data
        return {"error": error}


def invalid_input(message: str) -> ApiError:
    """Refuses an input, a parameter or a body that breaks a rule."""
    return ApiError(400, "invalid-input", message)


def invalid_parameter(name: str, problem: str) -> ApiError:
    """Refuses a query parameter."""
    return ApiError(400, "invalid-input", f'Query parameter "{name}" {problem}')


def record_not_found(noun: str) -> ApiError:
    """Says that the thing named in the path is not there, or not shown."""
    return ApiError(404, "record-not-found", f"{noun} was not found")


def actor_not_found() -> ApiError:
    """Says that there is no such Actor."""
    return ApiError(404, "actor-not-found", "Actor was not found")


def page_not_found() -> ApiError:
    """Says that there is no such endpoint."""
    return ApiError(
        404, "page-not-found", "We have bad news: there is no API endpoint at this URL."
    )


def method_not_allowed(methods: Iterable[str]) -> ApiError:
    """Says which methods the endpoint has."""
    allowed = ",".join(("OPTIONS", *sorted(methods)))
    return ApiError(
        405,
        "method-not-allowed",
        f"This API end-point can only be accessed using the following HTTP methods: {allowed}",
    )


def body_too_large(limit: int, actual: int) -> ApiError:
    """Refuses a body; `actual` is as far as it was counted."""
    return ApiError(
        413,
        "request-too-large",
        f"The POST payload is too large (limit: {limit} bytes, actual length: {actual} bytes).",
    )


def no_token() -> ApiError:
    """Asks for a token."""
    return ApiError(401, "token-not-provided", "Authentication token was not provided")


def bad_token() -> ApiError:
    """Refuses a token that is unknown, or of a process that has been replaced."""
    return ApiError(
        401,
        "user-or-token-not-found",
        "User was not found or authentication token is not valid",
    )


def no_permission() -> ApiError:
    """Refuses what a run with limited permissions may not do."""
    return ApiError(
        403,
        "insufficient-permissions",
        "Insufficient permissions for the Actor run: it has LIMITED_PERMISSIONS. Start it with "
        "forcePermissionLevel=FULL_PERMISSIONS where it needs more.",
    )


def run_failed(run_id: str, status: str) -> ApiError:
    """Answers a synchronous start whose run did not succeed."""
    return ApiError(
        400, "run-failed", f"Actor run did not succeed (run ID: {run_id}, status: {status})"
    )


def run_outlasted(seconds: float) -> ApiError:
    """Answers a synchronous start whose run still goes on."""
    return ApiError(
        408,
        "run-timeout-exceeded",
        f"Actor run exceeded timeout of {seconds:g} seconds for this API endpoint",
    )
