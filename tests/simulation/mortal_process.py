"""A process that can die at any step, as by SIGKILL: after that, nothing has an effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
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


class Exchange:
    """
    One request and its answer, of which nothing is left to do on leaving.

    Not a generator: thousands of these take a tenth of the time of a simulation.

    Args:
        answer: sends the request.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[Reply]], request: Request) -> None:
        self._answer = answer
        self._request = request

    async def __aenter__(self) -> Reply:
        return await self._answer(self._request)

    async def __aexit__(self, *error: object) -> None:
        """Does nothing."""


class MortalTransport:
    """The transport of one process to the platform."""

    def __init__(self, platform: SimPlatform, life: Life) -> None:
        self._platform = platform
        self._life = life

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Does nothing."""

    def send(self, request: Request) -> Exchange:
        """Sends a request on entering."""
        return Exchange(self.answer, request)

    async def answer(self, request: Request) -> Reply:
        """Sends a request unless the process is dead; its answer may come too late."""
        self._life.step()
        answer = await self._platform.answer(request)
        self._life.step()
        return answer
