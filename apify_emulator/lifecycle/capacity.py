"""Whether one more run fits into the account."""

from __future__ import annotations

from apify_emulator.account import UNLIMITED_USD, AccountLimits
from apify_emulator.refusals import ApiError
from apify_emulator.runs.run_registry import RunRegistry
from apify_emulator.runs.run_views import spent_usd
from apify_emulator.times import now


def check_capacity(limits: AccountLimits, runs: RunRegistry, memory_mbytes: int) -> None:
    """
    Checks that one more run fits into the account.

    Raises:
        ApiError: too many runs, or too much memory (402), or the month's usage has reached its
            limit (403).
    """
    if _has_spent_all(limits, runs):
        raise ApiError(403, "platform-feature-disabled", "Monthly usage hard limit exceeded")
    if runs.active >= limits.max_runs:
        raise ApiError(
            402,
            "concurrent-runs-limit-exceeded",
            "By launching this job you will exceed your limit of "
            f"{limits.max_runs} concurrent Actor runs.",
        )
    if runs.memory_mbytes + memory_mbytes > limits.max_memory_mbytes:
        raise ApiError(
            402,
            "actor-memory-limit-exceeded",
            "By launching this job you will exceed the memory limit of "
            f"{limits.max_memory_mbytes}MB for all your Actor runs and builds "
            f"(currently used: {runs.memory_mbytes}MB, requested: {memory_mbytes}MB).",
        )


def _has_spent_all(limits: AccountLimits, runs: RunRegistry) -> bool:
    # Without a limit no start pays for the sum.
    return (
        limits.max_monthly_usage_usd < UNLIMITED_USD
        and limits.earlier_usage_usd + spent_usd(runs, now()) >= limits.max_monthly_usage_usd
    )
