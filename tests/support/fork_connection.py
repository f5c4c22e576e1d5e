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


def connect(preloaded: Mapping[str, str], modules: Sequence[str]) -> socket.socket:
    """A connection to the server; starts it unless another test process has done so."""
    suite = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    name = sha256(json.dumps([suite, preloaded, modules]).encode()).hexdigest()[:16]
    address = Path(gettempdir(), f"orchestrator-tests-{name}.socket")
    connection = socket.socket(socket.AF_UNIX)
    with Path(__file__).open() as lock:
        flock(lock, LOCK_EX)  # so that only one process starts it
        with suppress(OSError):
            connection.connect(str(address))
            return connection
        address.unlink(missing_ok=True)
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", str(address), *modules],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **preloaded},  # with `FAKETIME`, no child would read its file
            start_new_session=True,  # it ends with its last connection
        )
        SERVERS.append(server)
        assert server.stdout is not None
        assert server.stdout.readline(), "the fork server has not started"
        connection.connect(str(address))
        return connection
