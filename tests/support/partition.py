"""A network between a process and its server that can be stalled and cut."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread


class Partition:
    """
    Forwards connections to a port of this machine.

    Attributes:
        port: where it listens.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._flows = Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """From now on, nothing arrives, and no connection ends."""
        self._flows.clear()

    def cut(self) -> None:
        """Ends all connections; new ones work again."""
        for one in self._sockets:
            # Also wakes a thread that reads from it.
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()
        self._flows.set()

    def close(self) -> None:
        """Ends everything."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    # The server is away: the client sees a connection that ends.
                    near.close()
                    continue
                self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    Thread(target=self._forward, args=(one, other), daemon=True).start()

    def _forward(self, one: socket.socket, other: socket.socket) -> None:
        # Each socket is read, and closed, by one thread.
        with one, suppress(OSError):
            while data := one.recv(65536):
                self._flows.wait()
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)


@contextmanager
def partition(to: int) -> Iterator[Partition]:
    """A network to a port of this machine."""
    made = Partition(to)
    try:
        yield made
    finally:
        made.close()
