"""
Forks a child for each order, after the imports: `python -m tests.support.fork_server`.

Most of a short command's time goes into its imports, and the tests call it hundreds of times. An
order is a line of JSON on stdin: its id, the function to call (`module:function`) and its
arguments, a working folder, the environment, and the files for stdout and stderr. Each child leads
its own session. On stdout, the server writes a line for each child's pid, and one for its exit
code. Nothing else passes from one child to another. The server completes models and fills caches
that are the same for every command.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import _lru_cache_wrapper, partial
from inspect import signature
from typing import Any, NoReturn

from pydantic import BaseModel

import apify_emulator
import orchestrator

OURS = ("orchestrator.", "apify_emulator.", "tests.support.")
READ_BYTES = 65_536
OUTSIDE = (
    "anyio._backends._asyncio",
    "encodings.ascii",
    "encodings.unicode_escape",
    "encodings.utf_8_sig",
    "jinja2",
    "rich._emoji_codes",
    "rich.table",
    "tzdata.zoneinfo",
    "uvloop",
    "tests.support.loaded_services",
    "tests.support.two_lives",
    "tests.support.watched_serve",
)


def serve() -> Callable[[], None]:
    """Carries out orders until stdin ends; in a child, returns the function to call."""
    _import_all()
    _prepare()
    gc.freeze()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    children: dict[int, int] = {}
    rest = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, READ_BYTES)
            _reap(children)
        if 0 not in ready:
            continue
        read = os.read(0, READ_BYTES)
        if not read:
            for child in children:
                os.kill(child, signal.SIGKILL)
            sys.exit()
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            order = json.loads(line)
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                os.close(woken)
                os.close(wake)
                return partial(carry_out, order)
            children[child] = order["id"]
            send(id=order["id"], pid=child)


def _import_all() -> None:
    for package in (orchestrator, apify_emulator):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", "pytest_plugin")):
                importlib.import_module(module.name)
    for name in OUTSIDE:
        importlib.import_module(name)


def _prepare() -> None:
    """Does once what each command does at its first use of a model or of a cache."""
    todo = BaseModel.__subclasses__()
    while todo:
        model = todo.pop()
        todo += model.__subclasses__()
        model.model_rebuild()
    for module in [module for name, module in sys.modules.items() if name.startswith(OURS)]:
        for value in vars(module).values():
            if isinstance(value, _lru_cache_wrapper) and not signature(value).parameters:
                value()


def _reap(children: dict[int, int]) -> None:
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        send(id=children.pop(child), code=os.waitstatus_to_exitcode(status))


def send(**event: int) -> None:
    """Writes a message to stdout."""
    print(json.dumps(event), flush=True)  # noqa: T201 - the answer


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
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for handle, name in ((1, "out"), (2, "err")):
        # Both may name one file.
        kind = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        os.dup2(os.open(order[name], kind, 0o644), handle)
    module, function = order["program"].split(":")
    code: Any = 0
    try:
        getattr(importlib.import_module(module), function)(order["words"])
    except SystemExit as end:
        code = end.code or 0
    if not isinstance(code, int):
        sys.exit(code)  # with a message
    _end(code)


def _end(code: int) -> NoReturn:
    """
    Ends a child as the interpreter does, but leaves its memory to the system.

    To take the objects of all imports apart would cost more than most commands do.
    """
    threading._shutdown()  # type: ignore[attr-defined] # as the interpreter does
    atexit._run_exitfuncs()
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code & 0xFF)


if __name__ == "__main__":
    # Called at the top level, so that a child ends as any program does.
    serve()()
