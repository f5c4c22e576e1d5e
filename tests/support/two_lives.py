"""
Runs the command until its process kills itself by SIGKILL at a named point.

A second process may follow, which runs to its end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from inspect import isawaitable
from typing import Any, NoReturn

from orchestrator.apify.http.direct_transport import DirectExchange, DirectTransport
from orchestrator.apify.http.transport import Request
from orchestrator.apify.run_endpoints import RunEndpoints
from orchestrator.errors import ConnectionLost, NoRoom
from orchestrator.ledger import Ledger
from tests.support.fault_points import POINTS, Point, Story
from tests.support.short_pauses import main_with_short_pauses


def die() -> NoReturn:
    """Kills this process at once, as a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("alive")


def pause() -> None:
    """Stops this process until it gets SIGCONT, as a machine that sleeps does."""
    os.kill(os.getpid(), signal.SIGSTOP)


def arm(point: Point, act: Callable[[], None] = die) -> None:
    """Makes this process die at a point, or do something else there."""
    original = getattr(point.owner, point.name)
    calls = 0 if point.since is None else -sys.maxsize

    def call(*given: Any, **named: Any) -> Any:
        nonlocal calls
        if point.query is not None and point.query not in given:
            return original(*given, **named)
        calls += 1
        if calls != point.nth:
            return original(*given, **named)
        if not point.after:
            act()
            return original(*given, **named)
        answer = original(*given, **named)
        if isawaitable(answer):
            return _then(answer, act)
        act()
        return answer

    def begin() -> None:
        nonlocal calls
        calls = max(calls, 0)

    setattr(point.owner, point.name, call)
    if point.since is not None:
        _call_after(point.since, begin)


async def _then(answer: Any, act: Callable[[], None]) -> Any:
    result = await answer
    act()
    return result


def _call_after(name: str, prepare: Any) -> None:
    """Calls a function after each transaction of that name."""
    original = getattr(Ledger, name)

    async def call(*given: Any, **named: Any) -> Any:
        answer = await original(*given, **named)
        prepare()
        return answer

    setattr(Ledger, name, call)


class LostExchange:
    """An exchange whose answer never arrives."""

    def __init__(self, exchange: DirectExchange, *, has_effect: bool) -> None:
        self._exchange = exchange
        self._has_effect = has_effect

    async def __aenter__(self) -> NoReturn:
        if self._has_effect:
            await self._exchange.__aenter__()
            await self._exchange.__aexit__(None, None, None)
        raise ConnectionLost("made to break")


def prepare(story: Story) -> None:
    """Prepares the events of a story."""
    if story is Story.FULL:
        _once(RunEndpoints, "start", _no_room)
    if story in {Story.LOST, Story.UNSENT, Story.SYNC_LOST}:
        original = DirectTransport.send
        has_effect = story is not Story.UNSENT
        lost = False

        def send(self: DirectTransport, request: Request) -> Any:
            nonlocal lost
            exchange = original(self, request)
            if lost or "(attempt " not in request.headers["User-Agent"]:
                return exchange
            lost = True
            return LostExchange(exchange, has_effect=has_effect)

        DirectTransport.send = send  # type: ignore[method-assign]


def _once(owner: Any, name: str, other: Any) -> None:
    original = getattr(owner, name)

    def call(*given: Any, **named: Any) -> Any:
        setattr(owner, name, original)
        return other(*given, **named)

    setattr(owner, name, call)


async def _no_room(*_given: Any, **_named: Any) -> NoReturn:
    raise NoRoom("made to be full")


def run_twice(words: Sequence[str]) -> None:
    """
    Runs the command until it dies at a point, then again.

    Args:
        words: the name of the point, then the arguments of both processes, each as JSON.
    """
    name, first, second = words[0], *map(json.loads, words[1:])
    child = os.fork()
    if child == 0:
        prepare(POINTS[name].story)
        arm(POINTS[name])
        main_with_short_pauses(first)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        sys.exit(f"{name} was not reached: the first process ended by itself")
    main_with_short_pauses(second)


def run_until_point(words: Sequence[str]) -> None:
    """
    Runs the command until it dies at a point.

    Args:
        words: the name of the point, then the arguments.
    """
    prepare(POINTS[words[0]].story)
    arm(POINTS[words[0]])
    main_with_short_pauses(words[1:])


def run_with_pause(words: Sequence[str]) -> None:
    """
    Runs the command, which stops itself at a point until it gets SIGCONT.

    Args:
        words: the name of the point, then the arguments.
    """
    arm(POINTS[words[0]], pause)
    main_with_short_pauses(words[1:])
