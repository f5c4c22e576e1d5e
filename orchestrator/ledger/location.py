"""
Where the ledger of a batch is: in its folder, or in PostgreSQL.

A batch whose ledger is in PostgreSQL has a small file in its folder that says so. It holds no
password: that comes from the setting `ledger`, from `PGPASSFILE`, or from a service file.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import LedgerCorrupt, OutputNotWritable
from orchestrator.ledger.postgres.address import Address, parse_address
from orchestrator.system_errors import error_of

LEDGER = "ledger.sqlite"
"""The ledger in the folder of a batch; for one in PostgreSQL, the name by which it is opened."""
POINTER = "ledger.json"
"""In the folder of a batch whose ledger is in PostgreSQL."""

AWAY_SECS = 60.0


@dataclass(slots=True, kw_only=True)
class _Configured:
    """The setting `ledger` of this process, and how long its server is waited for."""

    address: Address | None = None
    away_secs: float = AWAY_SECS


_configured = _Configured()


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """
    A ledger in PostgreSQL.

    Attributes:
        folder: of the batch, for messages.
        batch_id: of the batch.
        away_secs: how long a server that is away is waited for.
    """

    folder: Path
    address: Address
    batch_id: str
    away_secs: float = AWAY_SECS


def configure(url: str | None, away_secs: float = AWAY_SECS) -> None:
    """
    Sets where this process makes new ledgers, and finds those that are in PostgreSQL.

    Args:
        url: of a PostgreSQL server; None for SQLite.
        away_secs: how long a server that is away is waited for.

    Raises:
        ConfigError: it is not the URL of a PostgreSQL server.
    """
    _configured.address = None if url is None else parse_address(url)
    _configured.away_secs = away_secs


def configured_address() -> Address | None:
    """Where this process makes new ledgers; None for SQLite."""
    return _configured.address


def has_ledger(folder: Path) -> bool:
    """Whether a folder is that of a batch."""
    return (folder / LEDGER).is_file() or (folder / POINTER).is_file()


def location_of(path: Path) -> Location | None:
    """
    Where a ledger is in PostgreSQL; None when it is a file.

    Args:
        path: of the file that it is, or would be.

    Raises:
        LedgerCorrupt: the file that says where it is cannot be understood.
    """
    pointer = path.with_name(POINTER)
    if path.exists() or not pointer.exists():
        return None
    try:
        content = json.loads(pointer.read_text("utf-8"))
        url, batch_id = str(content["url"]), str(content["batch"])
    except OSError as error:
        advice = "fix that, then try again"
        raise error_of(
            error, pointer, "read", otherwise=OutputNotWritable, advice=advice
        ) from error
    except (ValueError, LookupError, TypeError) as error:
        raise LedgerCorrupt(
            f"{pointer}: does not say where the ledger is: restore it from a copy"
        ) from error
    return Location(
        folder=path.parent,
        # That of the settings wins: the server may be known by another name on this machine.
        address=_configured.address or parse_address(url),
        batch_id=batch_id,
        away_secs=_configured.away_secs,
    )


def is_copy(folder: Path) -> bool:
    """Whether the folder of a batch whose ledger is in PostgreSQL is not the one that we made."""
    location = location_of(folder / LEDGER)
    return location is not None and location.batch_id != folder.name


def write_pointer(folder: Path, address: Address, batch_id: str) -> None:
    """
    Writes the file that says that the ledger of a batch is in PostgreSQL.

    Raises:
        DiskFull, OutputNotWritable: it cannot be written.
    """
    pointer = folder / POINTER
    text = json.dumps({"url": address.url, "batch": batch_id})
    try:
        write_durably(pointer, f"{text}\n".encode())
    except OSError as error:
        with suppress(OSError):
            pointer.unlink(missing_ok=True)
        advice = "fix that, then try again"
        raise error_of(
            error, pointer, "written", otherwise=OutputNotWritable, advice=advice
        ) from error


def write_durably(path: Path, data: bytes) -> None:
    """
    Writes a small file of a folder that gets its name later; it is on disk when this returns.

    Raises:
        OSError: as the system says.
    """
    # After a power failure, the folder could have its name, and the file no bytes.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_SYNC, 0o644)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
