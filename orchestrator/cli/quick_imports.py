"""
Imports in a process of our own: nothing is done that a command does not need.

Only a command imports this way. A program that imports the package owns its process.
"""

from __future__ import annotations

import gc
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quick_imports() -> Iterator[None]:
    """
    Makes the imports within a block cheap.

    - Garbage is not collected, and later collections pass over what was imported: it stays.
    - `structlog` does not import `rich`, in 75 ms.
    - `aiohttp` does not read the certificates of the system, twice, in 50 ms: a context reads them
      at its first connection.
    """
    gc.disable()
    # `del` uncovers the method of the base class again.
    ssl.SSLContext.set_default_verify_paths = _put_off  # type: ignore[assignment]
    try:
        _import_log_library()
        yield
    finally:
        del ssl.SSLContext.set_default_verify_paths
        gc.freeze()
        gc.enable()


def _import_log_library() -> None:
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python marks a missing module
    try:
        import structlog  # noqa: F401 - for the modules that the command imports
    finally:
        del sys.modules["rich"]


def _put_off(context: ssl.SSLContext) -> None:
    context.__class__ = UnreadCertificates


class UnreadCertificates(ssl.SSLContext):
    """A context that reads the certificates of the system before its first connection."""

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Reads them, and begins a connection of an event loop."""
        return self._read().wrap_bio(*args, **options)

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """Reads them, and begins a connection of a thread."""
        return self._read().wrap_socket(*args, **options)

    def _read(self) -> ssl.SSLContext:
        self.__class__ = ssl.SSLContext  # type: ignore[assignment]  # of the same layout
        self.set_default_verify_paths()
        return self
