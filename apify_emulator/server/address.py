"""
Where the platform that holds a data folder can be reached, for commands that find it held.

On Linux the token is in no file: an Actor runs as the same user and could read it. The platform
hands it over by a socket, to processes of its own user that are not those of a run.
"""

from __future__ import annotations

import contextlib
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

from apify_emulator.processes.orphans import environment_of, parent_of

_LOCK = "lock"
_HAS_SOCKET = sys.platform == "linux"
_ANSWER_SECS = 5.0
_ACTOR = b"ACTOR_RUN_ID="
_CREDENTIALS = struct.Struct("3i")


@contextmanager
def published_address(data_dir: Path, url: str, token: SecretStr) -> Iterator[None]:
    """Tells the address and the token to those who ask, as long as the context is open."""
    told = orjson.dumps({"url": url, "token": token.get_secret_value()})
    if not _HAS_SOCKET:
        # Only its owner may read the file; a process of a run may too.
        (data_dir / _LOCK).write_bytes(told)
        yield
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(_name(data_dir))
        listener.listen()
        thread = Thread(target=_answer_all, args=(listener, told), daemon=True)
        thread.start()
        try:
            yield
        finally:
            # Closing alone would not wake the thread.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def read_address(data_dir: Path) -> tuple[str, SecretStr] | None:
    """
    Returns the address and the token of the platform that holds a folder; None when none does.
    """
    try:
        told = orjson.loads(_ask(data_dir) if _HAS_SOCKET else _read_held(data_dir))
        return told["url"], SecretStr(told["token"])
    except (OSError, ValueError, KeyError):
        return None


def _ask(data_dir: Path) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_ANSWER_SECS)
        asking.connect(_name(data_dir))
        told = b""
        while piece := asking.recv(4096):
            told += piece
        return told


def _read_held(data_dir: Path) -> bytes:
    with (data_dir / _LOCK).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read()
    return b""


def _name(data_dir: Path) -> bytes:
    """Returns a name outside the file system, where a path may be of any length."""
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()
    return f"\0orchestrator-platform-{digest[:32]}".encode()


def _answer_all(listener: socket.socket, told: bytes) -> None:
    # An OSError of `accept` is the end of the listener.
    with contextlib.suppress(OSError):
        while True:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(OSError):
                if _may_know(peer):
                    peer.settimeout(_ANSWER_SECS)
                    peer.sendall(told)


def _may_know(peer: socket.socket) -> bool:
    """
    Whether a process of our user asks, and neither it nor one that started it belongs to a run.

    Of whichever platform: an Actor of one must not get the token of another.
    """
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, _ = map(int, _CREDENTIALS.unpack(credentials))
    if user not in (os.getuid(), 0) or pid <= 0:
        return False
    own = os.getpid()
    while pid > 1 and pid != own:
        if any(variable.startswith(_ACTOR) for variable in environment_of(pid)):
            return False
        pid = parent_of(pid)
        if pid == own:
            # What we have started ourselves is a process of a run, or a build of an Actor.
            return False
    return pid >= 0
