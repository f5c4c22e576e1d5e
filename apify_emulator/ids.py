"""How ids and tokens are created."""

from __future__ import annotations

import os
import secrets
import string
from hashlib import sha256

_ALPHABET = (string.ascii_letters + string.digits).encode()
# Some characters are a little more likely than others, which does not matter for ids.
_TO_ALPHABET = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))


def new_id() -> str:
    """Returns a new opaque id of 17 letters and digits, as Apify's are."""
    return os.urandom(17).translate(_TO_ALPHABET).decode()


def new_ids(count: int) -> list[str]:
    """Returns `count` new ids with one system call."""
    letters = os.urandom(17 * count).translate(_TO_ALPHABET).decode()
    return [letters[at : at + 17] for at in range(0, 17 * count, 17)]


def derived_id(*parts: str) -> str:
    """Returns the id that these parts always get, also after a restart."""
    return sha256("\0".join(parts).encode()).digest()[:17].translate(_TO_ALPHABET).decode()


def new_token() -> str:
    """Returns a new secret that looks like an Apify token."""
    return f"apify_api_{secrets.token_hex(20)}"
