"""Numbers and dates in the headers of an answer, which may hold anything."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_DIGITS = 15
"""Of a number of which thousands may be added up in 64 bits."""

CREDIBLE_YEARS = range(2000, 2200)


def whole_number(text: str | None) -> int | None:
    """A whole number that is not negative; None for anything else, also one of too many digits."""
    # `int` alone accepts signs, underscores, spaces and the digits of other scripts.
    if not text or len(text) > MOST_DIGITS or not (text.isascii() and text.isdecimal()):
        return None
    return int(text)


def http_date(text: str | None) -> datetime | None:
    """
    A date as HTTP writes it (RFC 9110, section 5.6.7), aware.

    None for anything else, also for a date that no clock shows: sums with it could overflow.
    """
    if not text:
        return None
    try:
        at = parsedate_to_datetime(text)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        # The parser of the standard library lets each of these out.
        return None
    return at if at.year in CREDIBLE_YEARS else None
