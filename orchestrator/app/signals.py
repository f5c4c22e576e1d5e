"""
SIGINT, SIGTERM and SIGHUP: the first asks for an orderly end, the second ends the process at once.

Python's own handler raises KeyboardInterrupt wherever the program happens to be. In the middle of
an import, that exception is lost or leaves a lock of the import system held, and the process hangs.
So this handler raises its own exception outside of imports only; inside one, it waits for the end
of the import. While an event loop runs, nothing is raised: the loop calls a listener instead.

Signals that were ignored when the process started (`nohup`, `&`) stay ignored.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from orchestrator.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LEAVE_SECS = 10.0
"""
The process ends this long after the first signal, whatever still holds it up.
"""
AGAIN_SECS = 0.01


class Stopped(KeyboardInterrupt):
    """
    A signal arrived while no event loop was running.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _State:
    """
    What the handler knows; signals belong to the whole process, so there is one.

    Attributes:
        is_stopping: whether a first signal has been acted on.
        is_postponed: whether a first signal waits for the end of an import.
        is_repeated: whether the signal that arrives next is that one.
        listener: is called with the number of a signal; None while no event loop runs.
    """

    def __init__(self) -> None:
        self.is_stopping = False
        self.is_postponed = False
        self.is_repeated = False
        self.listener: Callable[[int], None] | None = None


_state = _State()


def handle_signals() -> None:
    """
    Takes the signals of this process over; call it first of all, in the main thread.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)
    sys.unraisablehook = _on_unraisable


def end_at_next_signal() -> None:
    """
    Has the next signal end the process at once: nothing is left to be done but to exit.
    """
    _state.is_stopping = True


@contextmanager
def listening(on_signal: Callable[[Interrupted], None]) -> Iterator[None]:
    """
    Calls `on_signal` in the running event loop at the first signal, in place of an outer listener.

    A second signal ends the process without any more ado: the ledger is as safe as after a kill.
    """
    from anyio.lowlevel import current_token

    from orchestrator.errors import Interrupted

    loop = current_token().native_token
    before = _state.listener
    _state.listener = lambda number: loop.call_soon_threadsafe(on_signal, Interrupted(number))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        _state.listener = before


async def listen(
    on_signal: Callable[[Interrupted], None], *, task_status: TaskStatus[None]
) -> None:
    """
    Listens for signals until cancelled; see `listening`.
    """
    from anyio import sleep_forever

    with listening(on_signal):
        task_status.started()
        await sleep_forever()


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _state.is_stopping or (_state.is_postponed and not _state.is_repeated):
        os._exit(128 + number)
    _state.is_repeated = False
    if _state.listener is None and _is_importing(frame):
        _state.is_postponed = True
        _thread.start_new_thread(_send_again, (number,))
        return
    _state.is_postponed = False
    _state.is_stopping = True
    # Not threading.Thread: the code that was interrupted may hold a lock of that module.
    _thread.start_new_thread(_end_later, (number,))
    if _state.listener is None:
        raise Stopped(number)
    _state.listener(number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _send_again(number: int) -> None:
    time.sleep(AGAIN_SECS)
    _state.is_repeated = True
    signal.pthread_kill(threading.main_thread().ident or 0, number)


def _end_later(number: int) -> None:
    time.sleep(LEAVE_SECS)
    os._exit(128 + number)


def _on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """
    Sends a signal again whose exception was raised where Python drops exceptions.
    """
    if isinstance(unraisable.exc_value, Stopped):
        _state.is_stopping = False
        _state.is_postponed = True
        _thread.start_new_thread(_send_again, (unraisable.exc_value.number,))
    else:
        sys.__unraisablehook__(unraisable)
