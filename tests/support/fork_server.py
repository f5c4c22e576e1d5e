"""
Forks a child for each order, after the imports: `python -m tests.support.fork_server ADDRESS`.

One of its children may be a further server, with more modules, which some commands need.

Most of a short command's time goes into its imports, and the tests call it hundreds of times. All
test processes of a suite share one server: it listens at a socket, and ends with its last
connection. An order is a line of JSON on a connection: its id, the function to call
(`module:function`) and its arguments, a working folder, the environment, and the files for stdin,
stdout and stderr, which may be a terminal. Each child leads its own session. On the same
connection, the server writes a line for each child's pid, and one for its exit code and the
processor time that it took. Nothing else passes from one child to another. The server completes
models, fills caches that are the same for every command, and rehearses a batch.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import _lru_cache_wrapper, partial
from inspect import signature
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel

import apify_emulator
import orchestrator
from orchestrator.apify import models
from orchestrator.apify.models.decoding import _envelope
from orchestrator.report.page import document
from orchestrator.report.page.document import _templates
from tests.support.rehearsal import rehearse

OURS = ("orchestrator.", "apify_emulator.", "tests.support.")
READ_BYTES = 65_536
CONNECTION_SECS = 60
"""How long the server waits for its first connection."""
TEMPLATES = Path(document.__file__).parent / "templates"
LARGE_PAGE = 2 * 1024 * 1024
COLLAPSE = 25  # `MADV_COLLAPSE` of Linux 6.1
OUTSIDE = (
    "anyio._backends._asyncio",
    "encodings.ascii",
    "encodings.unicode_escape",
    "encodings.utf_8_sig",
    "jinja2",
    "rich._emoji_codes",
    "rich.table",
    "tzdata.zoneinfo",
    "tzlocal",
    "uvloop",
    "tests.support.loaded_services",
    "tests.support.two_lives",
)


class Server:
    """
    The connections to the test processes, and the children that they have ordered.

    Args:
        address: the path of its socket.
    """

    def __init__(self, address: Path) -> None:
        self._address = address
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(address))
        self._listener.listen()
        self._listener.setblocking(False)
        self._unread: dict[socket.socket, bytes] = {}
        self._children: dict[int, tuple[socket.socket, int]] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake)

    def serve(self) -> Callable[[], None]:
        """Carries out orders until no connection is left; in a child, returns what to call."""
        while True:
            patience = None if self._unread else CONNECTION_SECS
            inputs: list[Any] = [self._woken, self._listener, *self._unread]
            ready, _, _ = select.select(inputs, [], [], patience)
            if self._woken in ready:
                os.read(self._woken, READ_BYTES)
                self._reap()
            self._accept()
            for client in self._unread.keys() & ready:
                for order in self._read(client):
                    child = os.fork()
                    if child == 0:
                        self._close()
                        return partial(carry_out, order)
                    self._children[child] = (client, order["id"])
                    send(client, id=order["id"], pid=child)
            if not self._unread:
                self._address.unlink(missing_ok=True)
                self._accept()  # a process that has connected just before
                if not self._unread:
                    sys.exit()

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                client, _ = self._listener.accept()
                client.setblocking(True)
                self._unread[client] = b""

    def _read(self, client: socket.socket) -> list[dict[str, Any]]:
        """The orders that a test process has sent; kills its children if it has ended."""
        try:
            read = client.recv(READ_BYTES)
        except ConnectionError:
            read = b""
        if not read:
            del self._unread[client]
            for child, (owner, _) in self._children.items():
                if owner is client:
                    os.kill(child, signal.SIGKILL)
            return []
        *lines, self._unread[client] = (self._unread[client] + read).split(b"\n")
        return [json.loads(line) for line in lines]

    def _reap(self) -> None:
        while self._children:
            child, status, used = os.wait4(-1, os.WNOHANG)
            if child == 0:
                return
            client, number = self._children.pop(child)
            code = os.waitstatus_to_exitcode(status)
            send(client, id=number, code=code, cpu_secs=used.ru_utime + used.ru_stime)

    def _close(self) -> None:
        """Closes in a child what only the server uses."""
        signal.set_wakeup_fd(-1)
        os.close(self._woken)
        os.close(self._wake)
        for connection in (self._listener, *self._unread):
            connection.close()


def send(client: socket.socket, **event: float) -> None:
    """Writes a message to a test process, unless it has ended."""
    with suppress(ConnectionError):
        client.sendall(json.dumps(event).encode() + b"\n")


def prepare() -> None:
    """Does once what each command would do; a fork costs by the memory in use, so no more."""
    gc.disable()  # almost all that is made here stays
    for package in (orchestrator, apify_emulator):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", "pytest_plugin")):
                importlib.import_module(module.name)
    _import(OUTSIDE)
    rehearse()
    _fill_caches()
    _settle()


def serve_more(words: Sequence[str]) -> None:
    """
    Forks a server that has further modules; returns when it listens.

    Args:
        words: its address, and the modules.
    """
    address, *modules = words
    listening, ready = os.pipe()
    if os.fork():
        os.close(ready)
        if not os.read(listening, 1):
            sys.exit("the fork server has not started")
        return
    os.close(listening)
    _import(modules)
    _fill_caches()
    _settle()
    server = Server(Path(address))
    os.write(ready, b"!")
    os.close(ready)
    server.serve()()


def _import(modules: Iterable[str]) -> None:
    for name in modules:
        importlib.import_module(name)


def _settle() -> None:
    """Makes the memory cheap to fork."""
    gc.collect()
    gc.freeze()
    gc.enable()
    _use_large_pages()


def _fill_caches() -> None:
    """Completes models and fills caches, as each command does at its first use of them."""
    todo = BaseModel.__subclasses__()
    while todo:
        model = todo.pop()
        todo += model.__subclasses__()
        model.model_rebuild()
    for module in [module for name, module in sys.modules.items() if name.startswith(OURS)]:
        for value in vars(module).values():
            if isinstance(value, _lru_cache_wrapper):
                # The rehearsal has filled it too, for its own environment.
                value.cache_clear()
                if _needs_nothing(value):
                    value()
    for path in TEMPLATES.glob("*.html"):
        _templates().get_template(path.name)
    for model in list(vars(models).values()):
        if isinstance(model, type) and issubclass(model, BaseModel):
            _envelope(model)


def _needs_nothing(function: Callable[..., object]) -> bool:
    return all(one.default is not one.empty for one in signature(function).parameters.values())


def _use_large_pages() -> None:
    """Moves the memory into large pages, where Linux can: a fork takes a third of its time."""
    if sys.platform != "linux":
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for line in Path("/proc/self/maps").read_text().splitlines():
        area, access, _, _, _, *path = line.split(maxsplit=5)
        start, end = (int(address, 16) for address in area.split("-"))
        first, last = -(-start // LARGE_PAGE), end // LARGE_PAGE
        if "w" in access and path in ([], ["[heap]"]) and first < last:
            # The answer does not matter: an old kernel refuses it, and nothing else changes.
            madvise(first * LARGE_PAGE, (last - first) * LARGE_PAGE, COLLAPSE)


def carry_out(order: dict[str, Any]) -> None:
    """Carries out an order, in a child."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # If the tests run in the background, they have inherited a SIGINT that is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.setsid()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    if "LD_PRELOAD" in os.environ:
        # A library shifts the clock, and sleeping until a time of another clock fails under it.
        setattr(time, "sleep", lambda secs: threading.Event().wait(secs))  # noqa: B010 - a patch
    # The first terminal that a new session opens controls it: Ctrl-C is a signal to the child.
    os.dup2(os.open(order["in"], os.O_RDONLY), 0)
    for handle, name in ((1, "out"), (2, "err")):
        # Both may name one file.
        kind = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        os.dup2(os.open(order[name], kind, 0o644), handle)
    if os.isatty(1) or "PYTHONIOENCODING" in os.environ:
        _open_streams()
    module, function = order["program"].split(":")
    code: Any = 0
    try:
        getattr(importlib.import_module(module), function)(order["words"])
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
            code = 1
    except Exception:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = 1
    _end(code)


def _open_streams() -> None:
    """Opens stdout and stderr anew, as the interpreter does at its start."""
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    for handle, name in ((1, "stdout"), (2, "stderr")):
        buffering = 1 if os.isatty(handle) or handle == 2 else -1
        stream = open(handle, "w", buffering=buffering, encoding=encoding, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _end(code: int) -> NoReturn:
    """
    Ends a child as the interpreter does, but leaves its memory to the system.

    To take the objects of all imports apart would cost more than most commands do.
    And libuv would wait at its end for threads that only the server has.
    """
    threading._shutdown()  # type: ignore[attr-defined] # as the interpreter does
    atexit._run_exitfuncs()
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code & 0xFF)


if __name__ == "__main__":
    prepare()
    server = Server(Path(sys.argv[1]))
    print("ready", flush=True)  # noqa: T201 - for the process that has started it
    # Called at the top level, so that a child ends as any program does.
    server.serve()()
