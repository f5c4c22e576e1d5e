"""Opens the ledger of a batch, in its folder or in PostgreSQL."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import ConfigError, OutputNotWritable
from orchestrator.extras import Extra, not_installed
from orchestrator.ledger import connection as sqlite
from orchestrator.ledger.location import (
    LEDGER,
    Location,
    configured_address,
    location_of,
    write_durably,
    write_pointer,
)
from orchestrator.ledger.postgres.address import Address
from orchestrator.ledger.store import Row, Store
from orchestrator.system_errors import error_of

if TYPE_CHECKING:
    from orchestrator.ledger.postgres.ledger_session import PostgresSession


ABANDONED_SECS = 86_400.0
"""After so long, a batch that nobody has locked or published is abandoned: makers take minutes."""


def create(path: Path, batch_id: str) -> Store:
    """
    Makes a new ledger: in PostgreSQL if the setting `ledger` names a server, else as a file.

    Args:
        path: of the file; the folder must exist and the file must not.

    Raises:
        DiskFull, OutputNotWritable, LedgerAway, ConfigError: it cannot be made.
    """
    address = configured_address()
    if address is None:
        return sqlite.create(path)
    write_pointer(path.parent, address, batch_id)
    location = location_of(path)
    assert location is not None  # noqa: S101 - just written
    return _session(location, writes=True)


def connect(path: Path) -> Store:
    """
    Opens an existing ledger for writing and migrates it to today's schema.

    Raises:
        LedgerCorrupt: it is torn or not a ledger.
        LedgerVersionMismatch: a newer version has written it.
        OutputNotWritable, OutputLost: the system does not let us open it.
        LedgerAway, BatchNotFound, BatchDeleted: its server cannot be reached, or does not have it.
    """
    location = location_of(path)
    if location is None:
        return sqlite.connect(path)
    session = _session(location, writes=True)
    if session.is_new:
        with closing(session):
            raise session.not_found()
    return session


def connect_read_only(path: Path) -> Store:
    """Opens an existing ledger for reading beside a process that writes it; raises as `connect`."""
    location = location_of(path)
    return sqlite.connect_read_only(path) if location is None else _session(location, writes=False)


def connect_briefly(path: Path) -> Store:
    """Opens a ledger to read its batch, and checks nothing else; raises as `connect`."""
    location = location_of(path)
    return sqlite.connect_briefly(path) if location is None else _session(location, writes=False)


@contextmanager
def made_ledger(path: Path) -> Iterator[None]:
    """Deletes a ledger from PostgreSQL at the end, if its folder was not given its final name."""
    try:
        yield
    finally:
        # Cases: a file, which goes with its folder; renamed, so the pointer is elsewhere; left.
        if location_of(path) is not None:
            discard(path)


def ledger_state(folder: Path) -> tuple[int, ...]:
    """Figures of the ledger of a batch, of which some change with each commit."""
    location = location_of(folder / LEDGER)
    if location is not None:
        with closing(_session(location, writes=False)) as session:
            return tuple(map(int, session.query("select_state").fetchone()))
    found: list[int] = []
    for name in (LEDGER, f"{LEDGER}-wal"):
        with suppress(OSError):
            stat = (folder / name).stat()
            # A reader, too, makes the second file, and leaves it empty.
            if stat.st_size:
                found += [stat.st_mtime_ns, stat.st_size]
    return tuple(found)


def keep_spec(path: Path, name: str, source: bytes) -> None:
    """Keeps the spec of a batch whose ledger is in PostgreSQL, for other machines."""
    location = location_of(path)
    if location is not None:
        with closing(_session(location, writes=True)) as session:
            session.query("set_spec", name=name, spec=source)


def discard_abandoned(path: Path, name: str) -> None:
    """
    Deletes batches from PostgreSQL whose makers were killed before they published them.

    A maker that is alive holds the lock of its batch; the age is for one whose connection broke.

    Args:
        path: of the ledger of a batch that is being made.
        name: of the batches.
    """
    location = location_of(path)
    if location is not None:
        with closing(_session(location, writes=True)) as session:
            session.query("delete_abandoned", name=name, secs=ABANDONED_SECS)


def mirror_batches(output: Path, name: str = "") -> Sequence[Row]:
    """
    Makes folders for the batches at the server of the settings that this machine does not have.

    Args:
        name: of the batches; empty for all names.

    Returns:
        The `batch` rows at that server; none if the settings name no server.
    """
    address = configured_address()
    if address is None:
        return ()
    location = Location(folder=output, address=address, batch_id="")
    with closing(_session(location, writes=True)) as session:
        rows = session.query("select_published", name=name).fetchall()
        for row in rows:
            folder = output / row["name"] / row["id"]
            if not (_is_file_name(row["name"]) and _is_file_name(row["id"])):
                _warn(folder)
            elif not folder.exists():
                found = session.query("select_spec", id=row["id"]).fetchone()
                if found is not None:  # else deleted just now
                    _make_mirror(folder, address, found["spec_name"], found["spec"])
                    # Deleted meanwhile: a folder without a ledger would stay for ever.
                    if session.query("select_spec", id=row["id"]).fetchone() is None:
                        shutil.rmtree(folder, ignore_errors=True)
    return rows


def _warn(folder: Path) -> None:
    # A ledger in a file needs no log, whose import takes long.
    from orchestrator.event_log import LOG

    reason = "the server of the ledger has it, but it is not a folder of the output"
    LOG.warning("folder_skipped", folder=str(folder), reason=reason)


def _is_file_name(text: str) -> bool:
    """Whether a text of the server, which others write to, leads nowhere else."""
    return "/" not in text and "\0" not in text and not text.startswith(".") and bool(text)


def _make_mirror(folder: Path, address: Address, spec_name: str | None, spec: bytes | None) -> None:
    # Hidden until it is whole; another process may make the same one.
    made = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        made.mkdir(parents=True, exist_ok=True)
        if spec_name is not None and spec is not None and _is_file_name(spec_name):
            write_durably(made / spec_name, spec)
        write_pointer(made, address, folder.name)
        with suppress(OSError):
            made.rename(folder)
    except OSError as error:
        advice = "choose another with --output, or correct its permissions"
        raise error_of(
            error, folder, "written", otherwise=OutputNotWritable, advice=advice
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def discard(path: Path) -> None:
    """Deletes the ledger of a batch from PostgreSQL, if it is there."""
    location = location_of(path)
    if location is None:
        return
    with closing(_session(location, writes=True)) as session:
        session.query("delete_batch")


def _session(location: Location, *, writes: bool) -> PostgresSession:
    if find_spec("psycopg") is None:
        raise ConfigError(f"a ledger in PostgreSQL {not_installed(Extra.POSTGRES)}")
    # Imported here: a ledger in a file needs no psycopg.
    from orchestrator.ledger.postgres.ledger_session import PostgresSession

    return PostgresSession(location, writes=writes)
