"""The request that a batch ends reaches whoever listens, once."""

from __future__ import annotations

from orchestrator.app.setup.stop_request import StopRequest
from orchestrator.errors import Interrupted, LeftEarly


def test_request_reaches_the_innermost_listener_once() -> None:
    """As a signal, a request ends the step that runs, and not the next one too."""
    stop = StopRequest()
    outer: list[Interrupted] = []
    inner: list[Interrupted] = []
    reason = LeftEarly()
    with stop.listening(outer.append):
        with stop.listening(inner.append):
            stop.make(reason)
        with stop.listening(inner.append):
            pass
    assert (outer, inner) == ([], [reason])


def test_request_without_a_listener_waits_for_one() -> None:
    """A request between two steps is not lost."""
    stop = StopRequest()
    heard: list[Interrupted] = []
    stop.make(LeftEarly())
    with stop.listening(heard.append):
        assert len(heard) == 1
