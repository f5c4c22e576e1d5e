"""
How ids, tokens and times are made and written.
"""

from __future__ import annotations

import os
import secrets
import string
import time
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from apify_emulator.refusals import invalid_input

_ALPHABET = (string.ascii_letters + string.digits).encode()
_TO_ALPHABET = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))


def new_id() -> str:
    """
    Return a fresh opaque id of 17 letters and digits, as Apify's are.
    """
    return os.urandom(17).translate(_TO_ALPHABET).decode()


def new_ids(count: int) -> list[str]:
    """
    Return so many fresh ids, for the price of one system call.
    """
    letters = os.urandom(17 * count).translate(_TO_ALPHABET).decode()
    return [letters[at : at + 17] for at in range(0, 17 * count, 17)]


def derived_id(*parts: str) -> str:
    """
    Return the id that these parts always get, so that it outlives restarts.
    """
    return sha256("\0".join(parts).encode()).digest()[:17].translate(_TO_ALPHABET).decode()


def new_token() -> str:
    """
    Return a fresh secret that looks like an Apify token.
    """
    return f"apify_api_{secrets.token_hex(20)}"


def now() -> float:
    """
    Return the wall clock in seconds, cut to milliseconds: what the API shows is what we compare.
    """
    return int(time.time() * 1000) / 1000


def iso(moment: float) -> str:
    """
    Return a moment as the API writes it, in UTC with milliseconds.
    """
    seconds, millis = divmod(round(moment * 1000), 1000)
    return f"{_to_the_second(seconds)}.{millis:03}Z"


@lru_cache(maxsize=1024)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def iso_or_none(moment: float | None) -> str | None:
    """
    Return a moment as the API writes it, null where there is none.
    """
    return None if moment is None else iso(moment)


def parse_iso(text: str, name: str) -> float:
    """
    Return the moment that a parameter names; a time without zone counts as UTC.

    Raises:
        ApiError: `text` is no ISO 8601 time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid_input(f'"{name}" must be an ISO 8601 date and time, got "{text}"') from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp(), 3)
