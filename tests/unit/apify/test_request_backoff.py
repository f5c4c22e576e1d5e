from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from orchestrator.apify.policy.request_backoff import Backoff, retry_after_secs

RNG = random.Random(1)  # noqa: S311 - jitter needs no cryptographic randomness


class Highest(random.Random):
    """Always draws the upper end."""

    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002 - the lower end is not used
        return b


def test_pauses_double_up_to_half_a_minute() -> None:
    """The longest possible pauses begin at half a second and double up to 30 seconds."""
    backoff = Backoff(10_000.0, Highest())
    pauses = [backoff.pause(0.0) for _ in range(8)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert backoff.repeats == 8


def test_jitter_is_full() -> None:
    """A pause may have any length from zero, so that many clients do not return together."""
    first = [Backoff(1e9, RNG).pause(0.0) for _ in range(1000)]
    pauses = [pause for pause in first if pause is not None]
    assert min(pauses) < 0.01
    assert max(pauses) > 0.49


def test_requested_pause_is_obeyed() -> None:
    """A pause is never shorter than the platform asks for."""
    assert Backoff(100.0, RNG).pause(0.0, at_least_secs=42.0) == 42.0


def test_pause_beyond_the_end_is_not_taken() -> None:
    """A try that would come too late is not waited for."""
    assert Backoff(10.0, RNG).pause(0.0, at_least_secs=10.0) is None


@pytest.mark.parametrize(
    ("text", "secs"),
    [
        ("0", 0.0),
        ("59", 59.0),
        ("120", 60.0),
        ("3601", None),
        ("9" * 400, None),
        ("Thu, 01 Jan 2026 00:30:00 GMT", 60.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("-5", None),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read(text: str | None, secs: float | None) -> None:
    """Both forms are read; more than a minute counts as one, more than an hour is ignored."""
    assert retry_after_secs(text, datetime(2026, 1, 1, tzinfo=UTC)) == secs
