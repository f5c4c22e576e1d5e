from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import settings
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from structlog.typing import EventDict

from orchestrator.event_log import discard_events
from orchestrator.safe_text import SECRETS
from tests.support.tracebacks import take_tracebacks

# How long an example takes says nothing on a busy machine.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_xdist_auto_num_workers() -> int:
    """More workers than cores: most of the time a test waits for a process or a connection."""
    return 2 * (os.cpu_count() or 1) + 1


# A suite that runs in the background (`&`, `nohup`) inherits signals that are ignored, which the
# commands of the tests would keep to.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        # Only the main thread may.
        with suppress(ValueError):
            signal.signal(number, lambda *_: None)


@pytest.fixture(autouse=True)
def _no_secret_is_kept() -> Iterator[None]:
    """Forgets the secrets of a test, which would be replaced in the next one."""
    yield
    SECRETS.clear()


@pytest.fixture(autouse=True)
def _no_log_is_kept() -> Iterator[None]:
    """Forgets the log that a test has set up, which would go to the next one's stderr."""
    yield
    discard_events()


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    """The events of a test, with what is bound in their context."""
    with capture_logs(processors=[merge_contextvars]) as entries:
        yield entries


@pytest.fixture(autouse=True)
def _no_traceback_is_left() -> Iterator[None]:
    """Fails a test in which a command met a bug of ours, even where it expects a failure."""
    yield
    found = take_tracebacks()
    assert not found, "a command ended with a bug of ours:\n" + "\n".join(found)
