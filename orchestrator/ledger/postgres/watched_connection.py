"""
A connection that notices when its server is silent.

TCP only notices that nothing is acknowledged. A proxy, a tunnel or a paused server acknowledges
everything and answers nothing, and psycopg waits for an answer without an end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

from orchestrator.event_log import LOG
from orchestrator.ledger.postgres.connection_rows import NamedRow

T = TypeVar("T")


class WatchedConnection(psycopg.Connection[NamedRow]):
    """See the top of this module."""

    _conninfo = ""
    _silent_secs = math.inf

    def watch(self, conninfo: str, silent_secs: float) -> None:
        """
        Begins to notice.

        Args:
            conninfo: how it was opened.
            silent_secs: after so long without an answer, it tries to open another one.
        """
        self._conninfo, self._silent_secs = conninfo, silent_secs

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Waits for the server; psycopg calls it for each message."""
        return super().wait(self._watched(gen), *args, **kwargs)

    def _watched(self, waiting: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        heard = time.monotonic()
        try:
            wanted = next(waiting)
            while True:
                # What is ready of what was wanted; nothing, several times a second.
                ready = yield wanted
                if ready:
                    heard = time.monotonic()
                elif time.monotonic() - heard >= self._silent_secs:
                    self._look()
                    heard = time.monotonic()
                wanted = waiting.send(ready)
        except StopIteration as end:
            value: T = end.value
            return value

    def _look(self) -> None:
        """
        Asks whether the server answers at all; then it is only slow, and is waited for.

        Raises:
            psycopg.OperationalError: it does not; the connection is closed.
        """
        secs = round(self._silent_secs)
        try:
            psycopg.connect(self._conninfo).close()
        except psycopg.OperationalError as error:
            self.close()
            raise psycopg.OperationalError(f"no answer for {secs} s; {error}") from error
        LOG.warning("ledger_slow", waited_secs=secs)
