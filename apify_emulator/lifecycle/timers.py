"""Calls that are due at a time: thousands of them with one task and one heap."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import anyio


class Timer:
    """A call that is due at a moment of the monotonic clock."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Prevents the call; does nothing after it."""
        self.call = None


class Timers:
    """All timers of an emulator. They fire while `run` runs."""

    def __init__(self, around: Callable[[], AbstractContextManager[None]]) -> None:
        """
        Creates timers.

        Args:
            around: opened around the calls that are due together.
        """
        self._around = around
        self._heap: list[tuple[float, int, Timer]] = []
        # Breaks ties between equal times, because timers cannot be compared.
        self._order = itertools.count()
        self._wake = anyio.Event()
        self._sleeps_until = math.inf

    def after(self, delay_secs: float, call: Callable[[], None]) -> Timer:
        """Calls `call` once, `delay_secs` from now; it must neither wait nor raise."""
        timer = Timer(call)
        due = time.monotonic() + max(delay_secs, 0.0)
        heapq.heappush(self._heap, (due, next(self._order), timer))
        if due < self._sleeps_until:
            self._wake.set()
        return timer

    async def run(self) -> None:
        """Fires timers until cancelled."""
        while True:
            self._fire(time.monotonic())
            self._wake = anyio.Event()
            self._sleeps_until = self._heap[0][0] if self._heap else math.inf
            with anyio.move_on_after(self._sleeps_until - time.monotonic()):
                await self._wake.wait()
            # While timers fire, `after` need not wake this task.
            self._sleeps_until = -math.inf

    def _fire(self, moment: float) -> None:
        heap = self._heap
        if not heap or heap[0][0] > moment:
            return
        with self._around():
            self._fire_due(heap, moment)

    def _fire_due(self, heap: list[tuple[float, int, Timer]], moment: float) -> None:
        while heap and heap[0][0] <= moment:
            _, _, timer = heapq.heappop(heap)
            call = timer.call
            if call is not None:
                timer.call = None
                call()
