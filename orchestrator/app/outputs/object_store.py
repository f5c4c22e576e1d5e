"""
Output to an object store: uploads the finished files of a batch and verifies them.

The batch itself is in a folder of this machine with its ledger and its part files; every command
works on that. An object is verified by its size and by its digest: the one of the store if it
shows one, else that of the object when it is read back.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import anyio
import orjson
from anyio import to_thread

from orchestrator.app.batch_folders import LEDGER, Found, first_of, survey
from orchestrator.app.latest_link import LATEST
from orchestrator.errors import OrchestratorError, OutputNotWritable
from orchestrator.event_log import LOG
from orchestrator.ledger.location import POINTER
from orchestrator.model.batches import Batch
from orchestrator.safe_text import SECRETS
from orchestrator.store.disk_writes import write_file

if TYPE_CHECKING:
    from obstore.store import ObjectStore

INDEX = ".remote.json"
AT_ONCE = 16
PIECE_BYTES = 8 * 1024 * 1024
"""The most in one request; larger files need several."""
RETRIES: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=20)}
MD5 = re.compile(r'"?([0-9a-f]{32}(?:-[0-9]+)?)"?')
FINAL = "summary.json"
CREDENTIAL = re.compile(r"(AWS|AZURE|GOOGLE)_\w*(SECRET|TOKEN|PASSWORD|ACCOUNT_KEY)\w*(?<!_FILE)")
ENDPOINT = re.compile(r"(AWS|AZURE|GOOGLE)_\w*ENDPOINT\w*")
"""Addresses, which may hold a password, for example of a proxy before the store."""

Seen = dict[str, list[int]]
"""Size and time of change of each uploaded file, by its path in the batch."""


class NotUploaded(OrchestratorError):
    """Some file is not in the object store; it is still on disk."""

    exit_code = 1


async def check_remote(prepared: Path, batch: Batch) -> None:
    """
    Uploads the spec of a batch before its start, to check that the store can be written.

    Raises:
        OutputNotWritable: it cannot.
    """
    if batch.plan.remote is None:
        return
    names = await to_thread.run_sync(_found, prepared)
    spec = next(name for name in names if name.startswith("spec."))
    try:
        await _Upload(batch.plan.remote, prepared, batch).put(spec)
    except NotUploaded as error:
        raise OutputNotWritable(
            f"{error}; nothing was started. Set the credentials and the address of the store in "
            "the environment, as for its own tools"
        ) from error


async def uploaded(folder: Path, batch: Batch) -> Batch:
    """Uploads the new files of a batch with a remote; the exit code shows a failure."""
    try:
        await upload(folder, batch)
    except NotUploaded as error:
        LOG.warning("results_not_uploaded", error=str(error))
        return replace(batch, exit_code=max(batch.exit_code or 0, error.exit_code))
    return batch


async def upload(folder: Path, batch: Batch) -> None:
    """
    Uploads the new files of a batch with a remote.

    Raises:
        NotUploaded: some files are not in the store.
    """
    if batch.plan.remote is not None:
        count = await _Upload(batch.plan.remote, folder, batch).run()
        LOG.info("results_uploaded", files=count, remote=remote_folder(batch))


def remote_folder(batch: Batch) -> str | None:
    """The URL of the uploaded files of a batch; None for a batch without a remote."""
    return batch.plan.remote and f"{batch.plan.remote}/{batch.name}/{batch.id}"


@dataclass(slots=True)
class _Upload:
    """Makes an object store equal to a batch's folder."""

    url: str
    folder: Path
    batch: Batch
    _store: ObjectStore = field(init=False)
    _home: str = field(init=False)

    def __post_init__(self) -> None:
        self._store = _open(self.url)
        self._home = f"{self.batch.name}/{self.batch.id}"

    async def run(self) -> int:
        """
        Uploads new and changed files and removes deleted ones; returns the number of uploads.

        Raises:
            NotUploaded: some files are not in the store; the next call uploads only those.
        """
        seen = _uploaded_of(self.folder) or {}
        found = await to_thread.run_sync(_found, self.folder)
        new = [name for name in found if seen.get(name) != found[name]]
        try:
            await self._put_all([name for name in new if name != FINAL], found, seen)
            for name in seen.keys() - found.keys():
                await self._remove(name)
                del seen[name]
            # A program that waits for this file finds all the others.
            await self._put_all([name for name in new if name == FINAL], found, seen)
            await self._point_latest()
        finally:
            write_file(self.folder / INDEX, [orjson.dumps(seen)])
        return len(new)

    async def put(self, name: str) -> None:
        """
        Uploads one file and verifies the object.

        Raises:
            NotUploaded.
        """
        import obstore

        path, key = self.folder / name, f"{self._home}/{name}"
        try:
            expected = await to_thread.run_sync(_digests, path)
            put = await obstore.put_async(self._store, key, path, chunk_size=PIECE_BYTES)
            size = (await obstore.head_async(self._store, key))["size"]
            etag = MD5.fullmatch(put["e_tag"] or "")
            is_whole = size == expected.size_bytes and (
                (etag is not None and etag[1] == expected.etag)
                or await self._read_back(key) == expected.sha256
            )
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            raise NotUploaded(
                f"{self.url}/{key} cannot be written: {_first_line(error)}"
            ) from error
        if not is_whole:
            raise NotUploaded(
                f"{self.url}/{key}: the object differs from {path}: {size} bytes instead of "
                f"{expected.size_bytes}, or another digest"
            )

    async def _put_all(self, names: list[str], found: Seen, seen: Seen) -> None:
        errors: list[NotUploaded] = []
        waiting = iter(names)

        async def work() -> None:
            for name in waiting:
                try:
                    await self.put(name)
                except NotUploaded as error:
                    errors.append(error)
                    workers.cancel_scope.cancel()
                    return
                seen[name] = found[name]

        async with anyio.create_task_group() as workers:
            for number in range(min(AT_ONCE, len(names))):
                workers.start_soon(work, name=f"upload-{number}")
        if errors:
            raise errors[0]

    async def _read_back(self, key: str) -> str:
        import obstore

        digest = hashlib.sha256()
        async for chunk in (await obstore.get_async(self._store, key)).stream():
            digest.update(chunk)
        return digest.hexdigest()

    async def _remove(self, name: str) -> None:
        import obstore

        try:
            await obstore.delete_async(self._store, f"{self._home}/{name}")
        except FileNotFoundError:
            return
        except (obstore.exceptions.BaseError, OSError) as error:
            raise NotUploaded(f"{self.url}: {_first_line(error)}") from error

    async def _point_latest(self) -> None:
        import obstore

        key = f"{self.batch.name}/{LATEST}"
        try:
            await obstore.put_async(self._store, key, self._latest().encode())
        except (obstore.exceptions.BaseError, OSError) as error:
            raise NotUploaded(f"{self.url}/{key}: {_first_line(error)}") from error

    def _latest(self) -> str:
        """The id of the newest batch beside this one whose files are in the store."""
        home = self.folder.parent
        beside = survey(home).found if home.name == self.batch.name else []
        first = first_of([one for one in beside if self._is_there(one)])
        return self.batch.id if first is None else first.batch.id

    def _is_there(self, found: Found) -> bool:
        batch = found.batch
        if batch.id == self.batch.id:
            return True
        seen = _uploaded_of(found.folder)
        if seen is not None:
            return FINAL in seen
        # Another machine has run it, and records that it is complete after the upload.
        return batch.plan.remote == self.url and batch.completed_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Digests:
    """
    The expected size and digests of an object.

    Attributes:
        etag: as S3 computes it from the pieces of the upload.
    """

    size_bytes: int
    sha256: str
    etag: str


def _digests(path: Path) -> _Digests:
    sha256, pieces, size = hashlib.sha256(), [], 0
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            sha256.update(piece)
            pieces.append(hashlib.md5(piece, usedforsecurity=False))
            size += len(piece)
    if len(pieces) == 1:
        etag = pieces[0].hexdigest()
    else:
        joined = b"".join(piece.digest() for piece in pieces)
        etag = hashlib.md5(joined, usedforsecurity=False).hexdigest()
        etag += f"-{len(pieces)}" if pieces else ""
    return _Digests(size_bytes=size, sha256=sha256.hexdigest(), etag=etag)


def _open(url: str) -> ObjectStore:
    import obstore.store

    _hide_credentials()
    # S3 also checks the digest of each request.
    own: Any = {"checksum_algorithm": "SHA256"} if url.startswith("s3:") else {}
    try:
        return obstore.store.from_url(url, retry_config=RETRIES, **own)
    except (obstore.exceptions.BaseError, ValueError) as error:
        raise NotUploaded(f"{url}: {_first_line(error)}") from error


def _hide_credentials() -> None:
    """Keeps what the library reads from the environment out of messages: it quotes addresses."""
    SECRETS.add_variables(name for name in os.environ if CREDENTIAL.fullmatch(name))
    for name, value in os.environ.items():
        if ENDPOINT.fullmatch(name):
            credentials = value.rpartition("@")[0].rpartition("//")[2]
            SECRETS.add(credentials)
            SECRETS.add(unquote(credentials.partition(":")[2]))


def _found(folder: Path) -> Seen:
    """The finished files of a batch: all except the ledger and hidden files."""
    return dict(sorted(_walk(folder, folder)))


def _walk(folder: Path, root: Path) -> Iterator[tuple[str, list[int]]]:
    for path in folder.iterdir():
        if path.name.startswith((".", LEDGER, POINTER)):
            continue
        if path.is_dir():
            yield from _walk(path, root)
        else:
            stat = path.stat()
            yield path.relative_to(root).as_posix(), [stat.st_size, stat.st_mtime_ns]


def _uploaded_of(folder: Path) -> Seen | None:
    """What this machine has uploaded of a batch; None if it never tried."""
    index = folder / INDEX
    seen: Seen | None = orjson.loads(index.read_bytes()) if index.exists() else None
    return seen


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
