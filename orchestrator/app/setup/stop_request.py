"""The request that a call ends in order: a signal of a command, or a Python program's own."""

from __future__ import annotations

from contextlib import contextmanager

TYPE_CHECKING = False  # as in `signals`, which loads this module first of all
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.errors import Interrupted


class StopRequest:
    """
    Passes the request on to whoever listens, once.

    It is made and heard in one event loop. A request without a listener waits for the next one.
    """

    def __init__(self) -> None:
        self._listener: Callable[[Interrupted], None] | None = None
        self._waiting: Interrupted | None = None

    def make(self, reason: Interrupted) -> None:
        """Requests the end of the call."""
        if self._listener is None:
            self._waiting = reason
        else:
            self._listener(reason)

    @contextmanager
    def listening(self, on_request: Callable[[Interrupted], None]) -> Iterator[None]:
        """Calls a function at the request, in place of an outer listener."""
        before, self._listener = self._listener, on_request
        reason, self._waiting = self._waiting, None
        if reason is not None:
            on_request(reason)
        try:
            yield
        finally:
            self._listener = before
