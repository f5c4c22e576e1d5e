"""A process that can die at any step, as by SIGKILL: after that, nothing has an effect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Self

from orchestrator.apify import Request
from orchestrator.group_worker import Work
from tests.simulation.platform import SimPlatform
from tests.support.scripted_transport import Reply


class Killed(BaseException):
    """The process is dead; the product must not handle this as an error."""


class Life:
    """
    Counts the steps of a process: requests and answers, and both sides of commits and flushes.

    Args:
        steps: the process dies at this one; None for never.
    """

    def __init__(self, steps: int | None = None) -> None:
        self._steps_left = steps
        self.is_over = False

    def step(self) -> None:
        """
        Counts a step.

        Raises:
            Killed: at its last step, and at every step that the rest of the process still tries.
        """
        if self._steps_left is not None:
            self._steps_left -= 1
        if self.is_over or self._steps_left == 0:
            self.is_over = True
            raise Killed

    def around(
        self, perform_group: Callable[[Sequence[Work]], None]
    ) -> Callable[[Sequence[Work]], None]:
        """Work on the disk, before or after which the process may die."""

        def perform(group: Sequence[Work]) -> None:
            self.step()
            perform_group(group)
            self.step()

        return perform


class MortalTransport:
    """The transport of one process to the platform."""

    def __init__(self, platform: SimPlatform, life: Life) -> None:
        self._platform = platform
        self._life = life

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Does nothing."""

    @asynccontextmanager
    async def send(self, request: Request) -> AsyncIterator[Reply]:
        """Sends a request unless the process is dead; its answer may come too late."""
        self._life.step()
        async with self._platform.send(request) as answer:
            self._life.step()
            yield answer
