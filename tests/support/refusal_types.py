"""
Whom each refusal of a start concerns, by the description of the API's error types.

It shares no line with the client's own table, so that one misreading is not in both.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from tests.support.openapi_requests import description

Concern = Literal["job", "actor", "plan", "token", "room", "later", "unclear", "conflict"]

ROOM = "actor-memory-limit-exceeded concurrent-runs-limit-exceeded"
CONFLICT = "concurrent-update-detected"
LATER = "rate-limit-exceeded too-many-requests"
UNCLEAR = (
    "run-failed actor-run-failed run-timeout-exceeded operation-timed-out operation-canceled "
    "query-timeout request-aborted-prematurely socket-closed socket-destroyed"
)
TOKEN = (
    "invalid-token invalid-token-type missing-api-token token-not-provided own-token-required "
    "user-disabled user-is-removed user-not-logged-in user-or-token-not-found invalid-credentials "
    "auth-method-not-supported"
)
PLAN = (
    "platform-feature-disabled limit-reached monthly-usage-limit-too-low "
    "not-enough-usage-to-run-paid-actor apify-plan-required-to-use-paid-actor "
    "user-problem-with-card user-has-no-subscription failed-to-charge-user missing-billing-info "
    "no-payment-method-available black-friday-plan-expired x402-payment-required "
    "x402-agentic-payment-already-finalized x402-agentic-payment-insufficient-amount "
    "x402-agentic-payment-malformed-token x402-agentic-payment-settlement-failed "
    "x402-agentic-payment-settlement-in-progress x402-agentic-payment-settlement-stuck "
    "x402-agentic-payment-unauthorized agentic-payment-info-retrieval-error "
    "agentic-payment-information-missing agentic-payment-insufficient-amount "
    "agentic-payment-provider-internal-error agentic-payment-provider-unauthorized"
)
ACTOR = (
    "actor-is-not-rented actor-can-not-be-rented cannot-rent-paid-actor rental-not-allowed "
    "actor-disabled public-actor-disabled actor-not-public missing-actor-rights "
    "elevated-permissions-needed full-permission-actor-not-approved unsupported-permission "
    "full-permission-actor-blocked-for-admin insufficient-permissions permission-denied "
    "actor-standby-not-supported-for-agentic-payments "
    "actor-permission-level-not-supported-for-agentic-payments "
    "unsupported-actor-pricing-model-for-agentic-payments"
)
MISSING = (
    "actor-not-found record-not-found record-or-token-not-found page-not-found unexpected-route "
    "user-not-found default-dataset-not-found"
)
JOB = (
    "invalid-input invalid-input-schema invalid-parameter invalid-request invalid-value invalid-id "
    "invalid-build invalid-record-key invalid-content-type-header build-not-found build-outdated "
    "unknown-build-tag input-json-not-object input-json-invalid-characters input-json-too-long "
    "run-input-body-not-valid-json schema-validation schema-validation-error "
    "schema-validation-failed request-too-large parameter-required param-not-one-of "
    "parameters-mismatched max-items-must-be-greater-than-zero too-many-webhooks "
    "max-total-charge-usd-must-be-greater-than-zero max-total-charge-usd-below-minimum "
    "requested-dataset-view-does-not-exist unsupported-content-encoding job-finished "
    "cannot-remove-running-run max-metamorphs-exceeded method-not-allowed not-implemented "
    "operation-not-allowed"
)
BY_STATUS: dict[int, Concern] = {
    401: "token", 402: "plan", 403: "actor", 409: "conflict", 423: "conflict", 429: "later",
}  # fmt: skip


@cache
def documented_types() -> list[str]:
    """Every error type that the API's description lists."""
    found: list[str] = description()["components"]["schemas"]["ErrorType"]["enum"]
    return found


@cache
def concern(status: int, kind: str, *, resurrects: bool = False) -> Concern:
    """
    Whom the refusal of a start concerns.

    Args:
        status: 4xx.
        resurrects: whether the start resurrects a run; then NOT_FOUND concerns the run.
    """
    missing: Concern = "job" if resurrects else "actor"
    lists: dict[str, Concern] = {
        ROOM: "room", LATER: "later", CONFLICT: "conflict", UNCLEAR: "unclear",
        TOKEN: "token", PLAN: "plan",
        ACTOR: "actor", MISSING: missing, JOB: "job",
    }  # fmt: skip
    known = next((whom for kinds, whom in lists.items() if kind in kinds.split()), None)
    if status == 408 or known == "unclear":
        return "unclear"
    if status in {401, 429} or known is None:
        return missing if status in {404, 410} else BY_STATUS.get(status, "job")
    return known
