"""Connects a test process to a fork server, which all test processes of its suite share."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir

ROOT = Path(__file__).parents[2]
SERVERS: list[subprocess.Popen[bytes]] = []
"""The fork servers that this test process has started."""
BASES: list[socket.socket] = []
"""Connections that keep a server alive for the other orders of this test process."""


def connect(preloaded: Mapping[str, str], modules: Sequence[str]) -> socket.socket:
    """A connection to the server; starts it unless another test process has done so."""
    with Path(__file__).open() as lock:
        flock(lock, LOCK_EX)  # so that only one process starts it
        return _connect(preloaded, modules)


def _connect(preloaded: Mapping[str, str], modules: Sequence[str]) -> socket.socket:
    suite = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    name = sha256(json.dumps([suite, preloaded, modules]).encode()).hexdigest()[:16]
    address = Path(gettempdir(), f"orchestrator-tests-{name}.socket")
    connection = socket.socket(socket.AF_UNIX)
    with suppress(OSError):
        connection.connect(str(address))
        return connection
    address.unlink(missing_ok=True)
    if modules:
        _fork(_connect(preloaded, ()), address, modules)
    else:
        _start(address, preloaded)
    connection.connect(str(address))
    return connection


def _start(address: Path, preloaded: Mapping[str, str]) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.fork_server", str(address)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **preloaded},  # with `FAKETIME`, no child would read its file
        start_new_session=True,  # it ends with its last connection
    )
    SERVERS.append(server)
    assert server.stdout is not None
    assert server.stdout.readline(), "the fork server has not started"


def _fork(base: socket.socket, address: Path, modules: Sequence[str]) -> None:
    """Forks a server from the one without further modules, whose preparation takes longest."""
    BASES.append(base)
    err = address.with_suffix(".err")
    order = {
        "id": 0,
        "program": "tests.support.fork_server:serve_more",
        "words": [str(address), *modules],
        "folder": str(ROOT),
        "environment": dict(os.environ),
        "in": os.devnull,
        "out": os.devnull,
        "err": str(err),
    }
    base.sendall(json.dumps(order).encode() + b"\n")
    with base.makefile() as events:
        code = next(event["code"] for event in map(json.loads, events) if "code" in event)
    assert code == 0, err.read_text()
    err.unlink()
