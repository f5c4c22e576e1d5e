"""
The address and the token of a running emulator, for commands that find its data folder in use.

On Linux the token is in no file, because an Actor runs as the same user and could read it. The
emulator sends it over a socket, only to processes of the same user that do not belong to a run.
They believe a socket of their own user or of root alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import orjson
from pydantic import SecretStr

from apify_emulator.errors import DataFolderInUse
from apify_emulator.processes.orphan_processes import environment_of, parent_of

_LOCK = "lock"
_HAS_SOCKET = sys.platform == "linux"
_ANSWER_SECS = 5.0
_ACTOR = b"ACTOR_RUN_ID="
_CREDENTIALS = struct.Struct("3i")


@contextmanager
def published_address(data_dir: Path, url: str, token: SecretStr) -> Iterator[None]:
    """
    Sends the address and the token to processes that ask, as long as the context is open.

    Raises:
        DataFolderInUse: another process has the name of this folder.
    """
    address = orjson.dumps({"url": url, "token": token.get_secret_value()})
    if not _HAS_SOCKET:
        # Only the same user can read the file, but so can processes of runs.
        (data_dir / _LOCK).write_bytes(address)
        yield
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            listener.bind(_name(data_dir))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            # Its lock was deleted with the folder, or the name is that of another user.
            raise DataFolderInUse(
                f"{data_dir}: an emulator that uses this data folder still runs, although the "
                "folder was deleted; end it, or choose another folder"
            ) from None
        listener.listen()
        # A thread, because the check of the peer reads `/proc`, which blocks.
        thread = Thread(target=_answer_all, args=(listener, address), daemon=True)
        thread.start()
        try:
            yield
        finally:
            # `close` alone does not wake the thread.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def read_address(data_dir: Path) -> tuple[str, SecretStr] | None:
    """Returns the address and token of the emulator on a data folder; None without one."""
    try:
        address = orjson.loads(_ask(data_dir) if _HAS_SOCKET else _read_lock_file(data_dir))
        return address["url"], SecretStr(address["token"])
    except (OSError, ValueError, KeyError):
        return None


def _ask(data_dir: Path) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_ANSWER_SECS)
        asking.connect(_name(data_dir))
        # Every user of the machine can take this name.
        if _user_of(asking)[1] not in (os.getuid(), 0):
            return b""
        answer = b""
        while piece := asking.recv(4096):
            answer += piece
        return answer


def _read_lock_file(data_dir: Path) -> bytes:
    with (data_dir / _LOCK).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read()
    return b""


def _name(data_dir: Path) -> bytes:
    """Returns a name outside the file system, where the length of the path does not matter."""
    digest = hashlib.sha256(os.fsencode(os.path.realpath(data_dir))).hexdigest()
    return f"\0apify-emulator-{digest[:32]}".encode()


def _answer_all(listener: socket.socket, address: bytes) -> None:
    # `accept` raises OSError when the listener is closed.
    with contextlib.suppress(OSError):
        while True:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(OSError):
                if _may_know(peer):
                    peer.settimeout(_ANSWER_SECS)
                    peer.sendall(address)


def _user_of(peer: socket.socket) -> tuple[int, int]:
    """Returns the process and the user at the other end."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, _ = map(int, _CREDENTIALS.unpack(credentials))
    return pid, user


def _may_know(peer: socket.socket) -> bool:
    """
    Whether the peer is a process of the same user, and neither it nor an ancestor belongs to a run.

    The run can be of any emulator, because an Actor of one must not get the token of another.
    """
    pid, user = _user_of(peer)
    if user not in (os.getuid(), 0) or pid <= 0:
        return False
    own = os.getpid()
    while pid > 1 and pid != own:
        if any(variable.startswith(_ACTOR) for variable in environment_of(pid)):
            return False
        pid = parent_of(pid)
        if pid == own:
            # The emulator starts only processes of runs and builds of Actors.
            return False
    return pid >= 0
