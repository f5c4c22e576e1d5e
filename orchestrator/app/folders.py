"""
Where batches are: `output/<name>/<id>/`, the `latest` link, and how a user names a batch.

A batch's folder is made under a hidden name and renamed when its ledger is whole, so that no other
command ever sees half a batch.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from orchestrator.app.signals import cleaned_up
from orchestrator.collector.names import file_name, record_key
from orchestrator.errors import BatchNotFound, OutputNotWritable
from orchestrator.model.ids import BatchId, BatchName
from orchestrator.system_errors import error_of

LEDGER = "ledger.sqlite"
LATEST = "latest"
PLATFORM = ".platform"
REMOTES = Path("output/.remote")
REMOTE = re.compile(r"(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._=-]+)*/?")


def new_id(now: datetime) -> BatchId:
    """
    A batch id: the time in UTC, its milliseconds and a random end in hex; ids sort by time.
    """
    milliseconds = now.microsecond // 1000
    return BatchId(f"{now:%Y%m%dT%H%M%SZ}-{milliseconds:03x}{secrets.token_hex(2)}")


def folder_of_remote(url: str) -> Path:
    """
    Where the batches of an object store are on this machine.
    """
    return REMOTES / file_name(url.rstrip("/"))


@contextmanager
def new_folder(output: Path, name: BatchName, batch_id: BatchId) -> Iterator[Path]:
    """
    A hidden folder to prepare a batch in; whatever is left of it afterwards is removed.

    Raises:
        OutputNotWritable, DiskFull: the folder cannot be made.
    """
    home = output / name
    folder = home / f".{batch_id}.new"
    made = [path for path in (home, *home.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        advice = "choose another with --output, or mend its permissions"
        raise error_of(
            error, folder.parent, "written", otherwise=OutputNotWritable, advice=advice
        ) from error

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        # A parent that has something in it by now stays, and so do its own parents.
        with suppress(OSError):
            for path in made:
                path.rmdir()

    with cleaned_up(remove):
        yield folder


def publish(prepared: Path, batch_id: BatchId) -> Path:
    """
    Gives a prepared batch its final name and points `latest` to it; returns the folder.
    """
    folder = prepared.parent / batch_id
    prepared.rename(folder)
    _point_latest(folder)
    for path in (folder.parent, folder.parent.parent):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(handle)
        os.close(handle)
    return folder


def mend_latest(folder: Path, name: BatchName) -> None:
    """
    Points `latest` to the newest batch beside this one, where a killed process left that undone.

    Does nothing for a batch that was moved away from the others of its name.
    """
    home = folder.parent
    found = newest(home) if home.name == name else None
    if found is not None and (home / LATEST).resolve() != found.resolve():
        _point_latest(found)


def _point_latest(folder: Path) -> None:
    link = folder.parent / f".{LATEST}.{folder.name}"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name, target_is_directory=True)
    link.replace(folder.parent / LATEST)


def find_batch(output: Path, text: str) -> Path:
    """
    The folder of a batch that a user named: a folder, `NAME` (its latest) or `NAME/ID`.

    Both may be below the URL of an object store.

    Raises:
        BatchNotFound: with the nearest names.
    """
    if not text.strip():
        raise BatchNotFound("expected a batch, found nothing; give its folder, NAME or NAME/ID")
    if REMOTE.fullmatch(text):
        output, text = _below_remote(text)
    for folder in (Path(text), output / text):
        if (folder / LEDGER).is_file():
            return folder.resolve()
    latest = newest(output / text)
    if latest is None and Path(text).is_dir():
        latest = newest(Path(text))
    if latest is not None:
        return latest
    names = ", ".join(sorted(path.name for path in _names(output))) or "none"
    raise BatchNotFound(
        f"no batch {text!r}: it is no batch folder, and {output} has these names: {names}"
    )


def _below_remote(url: str) -> tuple[Path, str]:
    """
    The folder of the object store that a URL is below, and the rest of it.
    """
    known = sorted(REMOTES.iterdir(), reverse=True) if REMOTES.is_dir() else []
    for folder in known:
        root = f"{record_key(folder.name)}/"
        if url.startswith(root):
            return folder, url.removeprefix(root).rstrip("/")
    raise BatchNotFound(
        f"no batch {url!r}: this machine has none of that store under {REMOTES}, and the ledger of "
        "a batch stays where it was run"
    )


def newest(home: Path) -> Path | None:
    """
    The newest batch in the folder of a batch name; None when there is none.
    """
    return next(batches(home), None)


def batches(home: Path) -> Iterator[Path]:
    """
    The batches in the folder of a batch name, newest first.
    """
    if home.is_dir():
        for path in sorted(home.iterdir(), reverse=True):
            is_hidden = path.name.startswith(".") or path.is_symlink()
            if not is_hidden and (path / LEDGER).is_file():
                yield path


def all_batches(output: Path) -> Iterator[Path]:
    """
    All batches under an output folder, by name and newest first.
    """
    for home in _names(output):
        yield from batches(home)


def _names(output: Path) -> list[Path]:
    if not output.is_dir():
        return []
    return sorted(
        path for path in output.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def display(path: Path) -> str:
    """
    A path as short as it can be told: relative to the working folder when it lies below it.
    """
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
