"""
How long to wait before a request is repeated. No clock, no I/O.
"""

from __future__ import annotations

from orchestrator.errors import PlatformError, RateLimited

FIRST_SECS = 0.5
LONGEST_SECS = 30.0


def pause_secs(tries: int, error: PlatformError, chance: float) -> float:
    """
    The pause before the next try.

    Args:
        tries: made so far, at least 1.
        error: of the last one; the platform's own `Retry-After` is obeyed.
        chance: a random number from 0 to 1.

    Returns:
        exponential with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"),
        never under a tenth of its bound, so that nobody hammers by bad luck.
    """
    bound = min(LONGEST_SECS, FIRST_SECS * 2.0 ** min(tries, 20))
    pause = bound * (0.1 + 0.9 * chance)
    if isinstance(error, RateLimited) and error.retry_after_secs is not None:
        return max(pause, min(error.retry_after_secs, 300.0))
    return pause
