"""
SIGINT, SIGTERM and SIGHUP: the first requests an orderly end, the second ends the process at once.

While an event loop runs, the first signal calls a listener in that loop. At any other time, it ends
the process at once, after the registered clean-ups. Unlike Python's own handler, it raises nothing:
an exception in the middle of an import leaves a lock of the import system held, so that the process
hangs, and libraries written in C or Rust swallow it or replace it with their own.

Signals that were ignored when the process started (`nohup`, `&`) stay ignored.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
from contextlib import contextmanager, suppress

from orchestrator.app.setup.stop_request import StopRequest

TYPE_CHECKING = False  # as of `typing`: the sooner this is imported, the sooner signals are handled
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from orchestrator.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ERASE_VIEW = b"\x1b[?7h\r\x1b[J"
"""Ends what the live view may have begun: lines are wrapped again, and the view is erased."""

LEAVE_SECS = 10.0


class _State:
    """
    The state of the handler; there is one, because signals belong to the whole process.

    Attributes:
        is_leaving: whether the next signal ends the process at once.
        listener: is called with the number of a signal; None while no event loop listens.
        request: passes a signal on within the event loop.
        clean_ups: are called before the process ends without a listener.
        leave_secs: the process ends this long after the first signal at the latest.
    """

    def __init__(self) -> None:
        self.is_leaving = False
        self.listener: Callable[[int], None] | None = None
        self.request = StopRequest()
        self.clean_ups: list[Callable[[], None]] = []
        self.leave_secs = LEAVE_SECS


_state = _State()


def handle_signals(leave_secs: float = LEAVE_SECS) -> None:
    """Installs the signal handler; call it first, in the main thread."""
    _state.leave_secs = leave_secs
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


@contextmanager
def cleaned_up(clean_up: Callable[[], None]) -> Iterator[None]:
    """Calls `clean_up` at the end, also if a signal ends the process."""
    _state.clean_ups.append(clean_up)
    try:
        yield
    finally:
        _state.clean_ups.remove(clean_up)
        clean_up()


@contextmanager
def listening(on_signal: Callable[[Interrupted], None]) -> Iterator[None]:
    """
    Calls `on_signal` in the running event loop at the first signal, in place of an outer listener.

    A signal at the very end of this context may be heard by the outer or the next listener instead.
    A second signal ends the process at once: the ledger is as safe as after a kill.
    """
    from anyio.lowlevel import current_token

    from orchestrator.errors import Interrupted

    loop = current_token().native_token
    before = _state.listener
    _state.listener = lambda number: loop.call_soon_threadsafe(  # type: ignore[attr-defined]
        _state.request.make, Interrupted(number)
    )
    try:
        with _state.request.listening(on_signal):
            yield
    finally:
        _state.listener = before


@contextmanager
def resizing(on_resize: Callable[[], None]) -> Iterator[None]:
    """Calls `on_resize` in the running event loop when the terminal has another size."""
    from anyio.lowlevel import current_token

    loop = current_token().native_token
    before = signal.signal(
        signal.SIGWINCH,
        lambda _number, _frame: loop.call_soon_threadsafe(on_resize),  # type: ignore[attr-defined]
    )
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


def _on_signal(number: int, _frame: FrameType | None) -> None:
    if _state.is_leaving:
        _end_now(number)
    _state.is_leaving = True
    if _state.listener is not None:
        # Not threading.Thread: the interrupted code may hold a lock of that module.
        _thread.start_new_thread(_end_later, (number,))
        _state.listener(number)
        return
    for clean_up in reversed(_state.clean_ups):
        clean_up()
    # Not through `sys.stderr`, whose code may be interrupted, and not if it would block.
    with suppress(OSError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, b"interrupted\n")
    os._exit(128 + number)


def _end_later(number: int) -> None:
    select.select([], [], [], _state.leave_secs)
    _end_now(number)


def _end_now(number: int) -> None:
    # The cursor rests at the beginning of the live view, and the shell would write over it.
    with suppress(OSError):
        if os.isatty(2) and select.select([], [2], [], 0)[1]:
            os.write(2, ERASE_VIEW)
    os._exit(128 + number)
