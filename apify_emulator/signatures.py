"""Signatures of public URLs, as Apify's clients compute them: whoever has one can read."""

from __future__ import annotations

import base64
import binascii
import hmac
import string
from hashlib import sha256

from apify_emulator.times import now

_ALPHABET = string.digits + string.ascii_lowercase + string.ascii_uppercase
_HEX_DIGITS = 30
_VERSION = "0"


def signing_key(master: str, storage_id: str) -> str:
    """Returns the secret key of one storage."""
    return sha256(f"{master}\0{storage_id}".encode()).hexdigest()


def value_signature(key: str, value: str) -> str:
    """Returns the signature of a value, such as the key of a record."""
    digest = hmac.new(key.encode(), value.encode(), sha256).hexdigest()[:_HEX_DIGITS]
    number = int(digest, 16)
    letters = "" if number else _ALPHABET[0]
    while number:
        number, rest = divmod(number, len(_ALPHABET))
        letters = _ALPHABET[rest] + letters
    return letters


def storage_signature(key: str, storage_id: str) -> str:
    """Returns a signature of a storage that never expires."""
    signed = f"{_VERSION}.0.{value_signature(key, f'{_VERSION}.0.{storage_id}')}"
    return base64.urlsafe_b64encode(signed.encode()).decode()


def is_valid_value(key: str, value: str, signature: str) -> bool:
    """Whether a signature is that of a value."""
    return hmac.compare_digest(value_signature(key, value).encode(), signature.encode())


def is_valid_storage(key: str, storage_id: str, signature: str) -> bool:
    """Whether a signature is that of a storage, and has not expired."""
    try:
        padded = signature + "=" * (-len(signature) % 4)
        text = base64.urlsafe_b64decode(padded.encode()).decode()
        version, expires_at, signed = text.split(".")
        is_over = int(expires_at) != 0 and int(expires_at) < now() * 1000
    except (ValueError, binascii.Error):
        return False
    expected = value_signature(key, f"{version}.{expires_at}.{storage_id}")
    return not is_over and hmac.compare_digest(expected.encode(), signed.encode())
