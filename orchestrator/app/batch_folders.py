"""
Where batches are: `output/<name>/<id>/`, the `latest` link, and how a user names a batch.

A batch's folder has a hidden name until its ledger is complete, so that no other command sees half
a batch. The newest batch is the one with the highest number, even if a clock was wrong. A folder
that is not a batch, or cannot be read, is skipped with a warning.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from orchestrator.app.latest_link import LATEST, link_to
from orchestrator.app.setup.signals import cleaned_up
from orchestrator.errors import (
    BatchDeleted,
    BatchNotFound,
    LedgerAway,
    OrchestratorError,
    OutputNotWritable,
    TooManyOpenFiles,
    UsageError,
)
from orchestrator.event_log import LOG
from orchestrator.ledger import location
from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.location import has_ledger
from orchestrator.ledger.lock import LOCK
from orchestrator.ledger.store import Row
from orchestrator.ledger.stores import mirror_batches
from orchestrator.model.batches import Batch
from orchestrator.model.ids import BatchId, BatchName
from orchestrator.model.schedule import EARLY
from orchestrator.store.file_names import file_name, record_key
from orchestrator.system_errors import error_of

LEDGER = location.LEDGER
EXPORT = "export"
"""In the folder of a batch: the tables that a user asks for."""
PLATFORM = ".platform"
REMOTES = Path("output/.remote")
REMOTE = re.compile(r"(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._=-]+)*/?")


def new_id(now: datetime) -> BatchId:
    """A batch id: the time in UTC, its milliseconds and a random end in hex; ids sort by time."""
    milliseconds = now.microsecond // 1000
    return BatchId(f"{now:%Y%m%dT%H%M%SZ}-{milliseconds:03x}{secrets.token_hex(2)}")


def folder_of_remote(url: str) -> Path:
    """The folder on this machine for the batches of an object store."""
    return REMOTES / file_name(url.rstrip("/"))


@contextmanager
def new_folder(output: Path, name: BatchName, batch_id: BatchId) -> Iterator[Path]:
    """
    A hidden folder to prepare a batch in; removed at the end if it still exists.

    Raises:
        OutputNotWritable, DiskFull: the folder cannot be made.
    """
    home = output / name
    folder = home / f".{batch_id}.new"
    made = [path for path in (home, *home.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        advice = "choose another with --output, or correct its permissions"
        raise error_of(
            error, folder.parent, "written", otherwise=OutputNotWritable, advice=advice
        ) from error

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        # A parent that is not empty stays, and so do its own parents.
        with suppress(OSError):
            for path in made:
                path.rmdir()

    with cleaned_up(remove):
        yield folder


def point_latest(folder: Path, name: BatchName) -> None:
    """
    Points `latest` to the newest batch beside this one.

    Does nothing for a batch that was moved away from the others of its name, or if `latest` is not
    a link.
    """
    found = newest(folder.parent) if folder.parent.name == name else None
    if found is not None and not link_to(found):
        LOG.warning(
            "latest_not_linked",
            folder=str(found.parent),
            reason="the file system has no symbolic links",
        )


def find_batch(output: Path, text: str) -> Path:
    """
    The folder of a batch that a user named: a folder, `NAME` (its latest) or `NAME/ID`.

    The latest is the newest without a selection. Both names may follow the URL of an object store.

    Raises:
        BatchNotFound: with the nearest names.
    """
    if not text.strip():
        raise BatchNotFound("expected a batch, found nothing; give its folder, NAME or NAME/ID")
    if REMOTE.fullmatch(text):
        output, text = _below_remote(text)
    mirror_batches(output, text.partition("/")[0])
    for folder in (Path(text), output / text):
        if has_ledger(folder):
            return Path(os.path.realpath(folder))
    latest = newest(output / text)
    if latest is None and _has_batches(Path(text)):
        latest = newest(Path(text))
    if latest is not None:
        return latest
    refuse_unreadable([output / text])
    names = ", ".join(home.name for home in batch_names(output) if _has_batches(home)) or "none"
    known = f"{output} has these names: {names}"
    if Path(text).is_file():
        raise BatchNotFound(f"no batch {text!r}: it is a file, and {known}")
    raise BatchNotFound(f"no batch {text!r}: it is not a batch folder, and {known}")


def refuse_own_file(path: Path) -> None:
    """
    Refuses a file that a user wants written among those of a batch, where it could be the ledger.

    Raises:
        UsageError: the file is in the folder of a batch, and not below `export/`.
    """
    real = Path(os.path.realpath(path))
    # What may not be looked into cannot be written either.
    with suppress(PermissionError):
        for folder in real.parents:
            # A ledger alone, far above, makes no batch of all that is below it.
            is_batch = has_ledger(folder) and (folder / LOCK).exists()
            if is_batch and real.relative_to(folder).parts[0] != EXPORT:
                raise UsageError(
                    f"{path} is in the folder of a batch, whose own files must stay as they are: "
                    f"name a file elsewhere, or in {folder / EXPORT}"
                )


def _has_batches(home: Path) -> bool:
    return home.is_dir() and _may_list(home) and any(map(has_ledger, home.iterdir()))


def refuse_unreadable(homes: Iterable[Path]) -> None:
    """
    Says why batches cannot be read, where a message would say that there are none.

    Raises:
        BatchNotFound: one in these folders of batch names cannot be read.
    """
    for home in homes:
        for one in survey(home).unreadable:
            raise BatchNotFound(f"{one.folder}: cannot be read: {one.reason}")


def _below_remote(url: str) -> tuple[Path, str]:
    """The folder of the object store that a URL begins with, and the rest of the URL."""
    known = sorted(REMOTES.iterdir(), reverse=True) if REMOTES.is_dir() else []
    for folder in known:
        root = f"{record_key(folder.name)}/"
        if url.startswith(root):
            return folder, url.removeprefix(root).rstrip("/")
    raise BatchNotFound(
        f"no batch {url!r}: this machine has none of that store under {REMOTES}; the ledger of a "
        "batch is only on the machine that ran it"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A batch on disk."""

    folder: Path
    batch: Batch

    @property
    def number(self) -> int:
        """Its number among the batches of its name."""
        return self.batch.number


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """
    A folder that may hold a batch and cannot be read.

    Attributes:
        made_at: from its name, or else from the file system; aware UTC.
    """

    folder: Path
    reason: str
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """
    The content of the folder of a batch name.

    Attributes:
        found: the highest number first.
        deleted: folders of batches that another machine has deleted from the server.
    """

    found: Sequence[Found] = ()
    unreadable: Sequence[Unreadable] = ()
    deleted: Sequence[Path] = ()


def survey(home: Path) -> Survey:
    """Reads all batches in the folder of a batch name; warns of anything else there."""
    published = {row["id"]: row for row in mirror_batches(home.parent, home.name)}
    found: dict[BatchId, Found] = {}
    unreadable: list[Unreadable] = []
    deleted: list[Path] = []
    for entry in _entries(home):
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        path = home / entry.name
        try:
            batch = _batch_in(path, published, is_folder=entry.is_dir())
        except BatchDeleted:
            deleted += _left_of(path)
            continue
        except (OrchestratorError, OSError, ValueError, LookupError) as error:
            if _concerns_all(error):
                raise
            if not path.exists():
                # Another command has removed the batch while it was read.
                continue
            unreadable.append(Unreadable(folder=path, reason=str(error), made_at=_made_at(path)))
            _warn(path, f"it cannot be read: {error}")
            continue
        if batch is None:
            continue
        if batch.id in found and path.name != batch.id:
            _warn(path, f"it is a copy of {batch.id}")
        else:
            found[batch.id] = Found(folder=path, batch=batch)
    ordered = sorted(found.values(), key=lambda one: (one.number, one.batch.id), reverse=True)
    first = first_of(ordered)
    if published and first is not None:
        # This machine may have learned of the batch just now. Whoever may only read, reads.
        with suppress(OSError):
            link_to(first.folder)
    return Survey(found=ordered, unreadable=unreadable, deleted=deleted)


def first_of(found: Sequence[Found]) -> Found | None:
    """The newest of these batches, as `newest` means it."""
    latest = datetime.now(UTC) + EARLY
    order = sorted(found, key=lambda one: (one.batch.is_after(latest), not one.batch.is_whole))
    return order[0] if order else None


def _concerns_all(error: Exception) -> bool:
    """Whether an error is not the fault of one folder."""
    if isinstance(error, LedgerAway):
        # Without this batch, a call could take its occurrence for one that is still to be served.
        return location.configured_address() is not None
    return isinstance(error, TooManyOpenFiles)


def _entries(home: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, by name; each entry knows its kind without another look."""
    if not home.is_dir():
        return []
    with os.scandir(home) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _batch_in(path: Path, published: Mapping[str, Row], *, is_folder: bool) -> Batch | None:
    """The batch of a folder; None, with a warning, if there is none."""
    if path.name == LATEST:
        _warn(path, "it is not the link to the newest batch; remove it to restore the link")
    elif not is_folder or not has_ledger(path):
        _warn(path, "it is not a batch")
    else:
        return read_batch(path / LEDGER, published)
    return None


def _left_of(path: Path) -> list[Path]:
    """The folder of a deleted batch; none, with a warning, if it is a copy that somebody made."""
    if location.is_copy(path):
        _warn(path, "it is a copy of a batch that was deleted")
        return []
    return [path]


def _made_at(path: Path) -> datetime:
    try:
        return datetime.strptime(path.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)


@cache
def _warn(path: Path, reason: str) -> None:
    """Warns once in each process, however often a folder is read."""
    LOG.warning("folder_skipped", folder=str(path), reason=reason)


def newest(home: Path) -> Path | None:
    """
    The newest batch of a name; None if there is none.

    A batch with all jobs of its spec and an occurrence that is not in the future comes first.
    """
    found = survey(home).found
    latest = datetime.now(UTC) + EARLY
    for one in found:
        if one.batch.is_after(latest):
            _warn(one.folder, f"its occurrence {one.batch.occurrence} is in the future")
    first = first_of(found)
    return None if first is None else first.folder


def batches(home: Path) -> Iterator[Path]:
    """The batches of a name, the highest number first."""
    return (one.folder for one in survey(home).found)


def every_batch(output: Path) -> Iterator[Found]:
    """All batches under an output folder, by name and newest first."""
    for home in batch_names(output):
        yield from survey(home).found


def newest_of_each(output: Path) -> list[Path]:
    """The newest batch of each name under an output folder."""
    return [folder for home in batch_names(output) if (folder := newest(home)) is not None]


def batch_names(output: Path) -> list[Path]:
    """The folders of all batch names under an output folder; warns of those of other users."""
    mirror_batches(output)
    if not output.is_dir():
        return []
    return sorted(
        path
        for path in output.iterdir()
        if path.is_dir() and not path.name.startswith(".") and _may_list(path)
    )


def _may_list(folder: Path) -> bool:
    try:
        with os.scandir(folder):
            return True
    except PermissionError as error:
        # For example `lost+found`, where the output folder is the root of a disk.
        _warn(folder, f"it cannot be read: {error.strerror}")
        return False


def display(path: Path) -> str:
    """A path for people: relative to the working folder if it is below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
