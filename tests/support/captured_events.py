"""The events that the code under test logs, in place of the log of the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from structlog.testing import LogCapture
from structlog.typing import EventDict

from orchestrator.event_log import add_bound, discard_events, log_to, logger_to


@contextmanager
def captured_events() -> Iterator[list[EventDict]]:
    """The events of the block, with what is bound in their context."""
    capture = LogCapture()
    log_to(logger_to(structlog.ReturnLogger(), "debug", [add_bound, capture]))
    try:
        yield capture.entries
    finally:
        discard_events()
