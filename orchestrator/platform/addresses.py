"""
Where the platform that holds a data folder can be reached, for those who find it held.
"""

from __future__ import annotations

import fcntl
from pathlib import Path

import orjson
from pydantic import SecretStr

_LOCK = "lock"


def write_address(data_dir: Path, url: str, token: SecretStr) -> None:
    """
    Tell the address and the token in the lock's file, which only its owner may read.
    """
    told = orjson.dumps({"url": url, "token": token.get_secret_value()})
    (data_dir / _LOCK).write_bytes(told)


def read_address(data_dir: Path) -> tuple[str, SecretStr] | None:
    """
    Return the address and the token of the platform that holds a folder; None when none does.
    """
    try:
        with (data_dir / _LOCK).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                told = orjson.loads(file.read())
                return told["url"], SecretStr(told["token"])
    except (OSError, ValueError, KeyError):
        return None
    return None
