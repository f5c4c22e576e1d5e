"""
The refusals that the API answers with: status, type and message of each.

The types are those of `ErrorType` in the official API description. Handlers raise a refusal; only
the server turns it into an answer.
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
    """The refusal of an input, a parameter or a body that breaks a rule."""
    return ApiError(400, "invalid-input", message)


def invalid_parameter(name: str, problem: str) -> ApiError:
    """The refusal of a query parameter."""
    return ApiError(400, "invalid-input", f'Query parameter "{name}" {problem}')


def record_not_found(noun: str) -> ApiError:
    """The refusal when the path names something that does not exist, or is not visible."""
    return ApiError(404, "record-not-found", f"{noun} was not found")


def actor_not_found() -> ApiError:
    """The refusal when the Actor does not exist."""
    return ApiError(404, "actor-not-found", "Actor was not found")


def page_not_found() -> ApiError:
    """The refusal when the endpoint does not exist."""
    return ApiError(
        404, "page-not-found", "We have bad news: there is no API endpoint at this URL."
    )


def method_not_allowed(methods: Iterable[str]) -> ApiError:
    """The refusal of a method, with the methods that the endpoint has."""
    # Apify answers OPTIONS at every endpoint.
    allowed = ",".join(("OPTIONS", *sorted(methods)))
    return ApiError(
        405,
        "method-not-allowed",
        f"This API end-point can only be accessed using the following HTTP methods: {allowed}",
    )


def not_supported(reason: str) -> ApiError:
    """The refusal of what Apify has and the emulator does not."""
    # Not 501, because clients repeat a request after such an answer.
    return ApiError(400, "not-implemented", f"The emulator does not support this: {reason}.")


def body_too_large(limit: int, actual: int) -> ApiError:
    """The refusal of a large body; `actual` is the number of bytes read so far."""
    return ApiError(
        413,
        "request-too-large",
        f"The POST payload is too large (limit: {limit} bytes, actual length: {actual} bytes).",
    )


def no_token() -> ApiError:
    """The refusal of a request without a token."""
    return ApiError(401, "token-not-provided", "Authentication token was not provided")


def bad_token() -> ApiError:
    """The refusal of a token that is unknown, or of a process that has ended."""
    return ApiError(
        401,
        "user-or-token-not-found",
        "User was not found or authentication token is not valid",
    )


def no_permission() -> ApiError:
    """The refusal of what a run with limited permissions may not do."""
    return ApiError(
        403,
        "insufficient-permissions",
        "Insufficient permissions for the Actor run: it has LIMITED_PERMISSIONS. Start it with "
        "forcePermissionLevel=FULL_PERMISSIONS if it needs more.",
    )


def no_access(noun: str) -> ApiError:
    """The refusal of a caller who may not read a storage."""
    return ApiError(
        403,
        "insufficient-permissions",
        f"Insufficient permissions for the {noun}. Make sure you're passing a correct API token "
        "and that it has the required permissions.",
    )


def run_failed(run_id: str, status: str) -> ApiError:
    """The refusal of a synchronous start whose run did not succeed."""
    return ApiError(
        400, "run-failed", f"Actor run did not succeed (run ID: {run_id}, status: {status})"
    )


def run_outlasted(seconds: float) -> ApiError:
    """The refusal of a synchronous start whose run has not ended in time."""
    return ApiError(
        408,
        "run-timeout-exceeded",
        f"Actor run exceeded timeout of {seconds:g} seconds for this API endpoint",
    )
