"""Calls that are due at a time: thousands of them with one task and one heap."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import anyio

from apify_emulator.refusals import invalid_input
from apify_emulator.times import set_ahead

MAX_TIMERS = 100_000


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
        self._ahead_secs = 0.0

    @property
    def ahead_secs(self) -> float:
        """How far the clock is ahead of the wall clock."""
        return self._ahead_secs

    def advance(self, seconds: float) -> None:
        """
        Moves the clock forward; each timer that is due meanwhile fires at its own time.

        Raises:
            ApiError: so many timers would fire that they seem to start each other for ever (400).
        """
        target = self._moment() + seconds
        left = MAX_TIMERS
        while self._heap and self._heap[0][0] <= target:
            left -= 1
            if left == 0:
                raise invalid_input(f"More than {MAX_TIMERS} timers are due; advance by less time")
            self._set_ahead(self._ahead_secs + max(self._heap[0][0] - self._moment(), 0.0))
            self._fire(self._heap[0][0])
        self._set_ahead(self._ahead_secs + max(target - self._moment(), 0.0))

    def set_back(self) -> None:
        """Sets the clock to the wall clock; timers that are left keep their distance."""
        ahead = self._ahead_secs
        self._heap = [(due - ahead, order, timer) for due, order, timer in self._heap]
        heapq.heapify(self._heap)
        self._set_ahead(0.0)

    def _set_ahead(self, seconds: float) -> None:
        self._ahead_secs = seconds
        set_ahead(seconds)
        self._wake.set()

    def _moment(self) -> float:
        return time.monotonic() + self._ahead_secs

    def after(self, delay_secs: float, call: Callable[[], None]) -> Timer:
        """Calls `call` once, `delay_secs` from now; it must neither wait nor raise."""
        timer = Timer(call)
        due = self._moment() + max(delay_secs, 0.0)
        heapq.heappush(self._heap, (due, next(self._order), timer))
        if due < self._sleeps_until:
            self._wake.set()
        return timer

    async def run(self) -> None:
        """Fires timers until cancelled."""
        while True:
            self._fire(self._moment())
            self._wake = anyio.Event()
            self._sleeps_until = self._heap[0][0] if self._heap else math.inf
            with anyio.move_on_after(self._sleeps_until - self._moment()):
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
