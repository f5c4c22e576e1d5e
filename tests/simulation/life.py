"""A process that can die at any step, as by SIGKILL: afterwards nothing has an effect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Self

from orchestrator.apify import Request
from orchestrator.group_worker import Work
from tests.simulation.platform import SimPlatform
from tests.support.scripted_transport import Reply


class Killed(BaseException):
    """The process is dead; no handler of the product may see this as an error."""


class Life:
    """
    Counts the steps of a process: each request, each answer, either side of each commit and flush.

    Args:
        steps: it dies at this one; None to live on.
    """

    def __init__(self, steps: int | None = None) -> None:
        self._steps_left = steps
        self.is_over = False

    def step(self) -> None:
        """
        Lives on, or dies.

        Raises:
            Killed: now, and at every step that the rest of the process still tries.
        """
        if self._steps_left is not None:
            self._steps_left -= 1
        if self.is_over or self._steps_left == 0:
            self.is_over = True
            raise Killed

    def around(
        self, perform_group: Callable[[Sequence[Work]], None]
    ) -> Callable[[Sequence[Work]], None]:
        """Work on the disk that may never come about, or never be known to have."""

        def perform(group: Sequence[Work]) -> None:
            self.step()
            perform_group(group)
            self.step()

        return perform


class MortalTransport:
    """The way to the platform of one process."""

    def __init__(self, platform: SimPlatform, life: Life) -> None:
        self._platform = platform
        self._life = life

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing is open."""

    @asynccontextmanager
    async def send(self, request: Request) -> AsyncIterator[Reply]:
        """Sends a request unless the process is dead; its answer may come too late for it."""
        self._life.step()
        async with self._platform.send(request) as answer:
            self._life.step()
            yield answer
