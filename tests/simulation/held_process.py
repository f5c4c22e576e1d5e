"""A process that is stopped for a while, as by SIGSTOP, or cut off from its ledger's server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from orchestrator.apify import Request
from orchestrator.group_worker import Work
from tests.simulation.mortal_process import Killed, Life, MortalTransport
from tests.support.scripted_transport import Reply

T = TypeVar("T")


class HeldLife(Life):
    """
    A life whose effects may be held back; its timers run on.

    Attributes:
        reaches_ledger, reaches_platform: whether it may act there now.
        intents_left: it is stopped after so many further intents; None for never.
        stops_secs: for how long it is stopped then.
    """

    def __init__(self, steps: int | None = None) -> None:
        super().__init__(steps)
        self.reaches_ledger = asyncio.Event()
        self.reaches_platform = asyncio.Event()
        self.reaches_ledger.set()
        self.reaches_platform.set()
        self.intents_left: int | None = None
        self.stops_secs = 0.0
        self.at_release: list[Callable[[], None]] = []

    def hold(self, secs: float, *, with_platform: bool) -> None:
        """Holds its transactions back for so long; with the platform: its requests, too."""
        self.reaches_ledger.clear()
        if with_platform:
            self.reaches_platform.clear()
        asyncio.get_running_loop().call_later(secs, self._go_on)

    def count_intent(self) -> None:
        """Stops the process when it has recorded its last intent, and not sent the start."""
        if self.intents_left is not None:
            self.intents_left -= 1
            if self.intents_left == 0:
                self.hold(self.stops_secs, with_platform=True)

    def _go_on(self) -> None:
        self.reaches_ledger.set()
        self.reaches_platform.set()
        for release in self.at_release:
            release()


class HeldWorker:
    """Performs transactions in their order, as soon as the process reaches the ledger."""

    def __init__(self, perform_group: Callable[[Sequence[Work]], None], life: HeldLife) -> None:
        self._perform_group = perform_group
        self._life = life
        self._waiting: list[Work] = []
        self._done: list[Work] = []
        life.at_release.append(self._release)

    def submit(self, perform: Callable[[], T]) -> Awaitable[T]:
        """Hands in a function at once; awaiting the answer gives its result or raises its error."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(Work(perform, future))
        if self._life.reaches_ledger.is_set():
            self._release()
        return future

    def _release(self) -> None:
        group, self._waiting = self._waiting, []
        if group:
            self._perform(group)
        self._done += group
        if any(_is_intent(work) for work in group):
            self._life.count_intent()
        if self._life.reaches_ledger.is_set():
            done, self._done = self._done, []
            for work in done:
                work.hand_back()

    def _perform(self, group: Sequence[Work]) -> None:
        try:
            self._perform_group(group)
        except Killed as killed:
            for work in group:
                work.error = killed


def _is_intent(work: Work) -> bool:
    return getattr(getattr(work.perform, "func", None), "__name__", "") == "intend"


class HeldTransport(MortalTransport):
    """The transport of one process to the platform."""

    _life: HeldLife

    async def answer(self, request: Request) -> Reply:
        """Sends a request when the process runs; its answer waits until it runs, too."""
        await self._life.reaches_platform.wait()
        self._life.step()
        answer = await self._platform.answer(request)
        await self._life.reaches_platform.wait()
        self._life.step()
        return answer
