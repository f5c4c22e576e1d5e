from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings
from structlog.typing import EventDict

from orchestrator.cli.main import ALLOCATIONS_BETWEEN_COLLECTIONS
from orchestrator.event_log import discard_events
from orchestrator.safe_text import SECRETS
from tests.support.captured_events import captured_events
from tests.support.postgres_server import (
    _schema_of_process,
    postgres_schema,
    postgres_url,
    server,
    skipped_without_client,
)
from tests.support.spread import spread
from tests.support.tracebacks import take_tracebacks

__all__ = ["_schema_of_process", "postgres_schema", "postgres_url", "server"]

# On a busy machine, the time of one example means nothing.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# Otherwise, each worker would rewrite the assertions of all tests again: two seconds of CPU.
# And each program that a test starts would compile what it imports.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Of the objects that the collection makes, none is garbage; see `pytest_collection_finish`.
gc.disable()

NEEDED_BYTES = 2_000_000_000
"""The free memory that temporary files of all tests need, several times over."""


def pytest_xdist_auto_num_workers() -> int:
    """
    More workers than cores, because many tests wait for a process or a connection.

    No more than four for each core, because each takes seconds of CPU before its first test.
    """
    return 4 * (os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skips modules that import psycopg where it is not installed."""
    return skipped_without_client((yield), collector.path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spreads the long tests over the workers."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = spread(items, workers)


def pytest_collection_finish() -> None:
    """Collects garbage again, but not among the modules and tests that all stay."""
    gc.freeze()
    gc.set_threshold(10 * ALLOCATIONS_BETWEEN_COLLECTIONS)
    gc.enable()


def pytest_unconfigure() -> None:
    """Collects the last garbage, and lets pytest's own five collections look at nothing else."""
    gc.collect()
    gc.freeze()


def _keep_files_in_memory(folder: Path) -> None:
    """Puts temporary files into a folder in memory, so that no flush waits for a disk."""
    if "TMPDIR" in os.environ or not os.access(folder, os.W_OK | os.X_OK):
        return
    # Some tests start programs that they have written.
    may_execute = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    if may_execute and shutil.disk_usage(folder).free > NEEDED_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


if sys.platform == "linux":
    _keep_files_in_memory(Path("/dev/shm"))  # noqa: S108 - pytest makes a folder of its own in it

# A suite in the background (`&`, `nohup`) inherits ignored signals, which the commands of the tests
# would ignore too.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        # Only the main thread may set handlers.
        with suppress(ValueError):
            signal.signal(number, lambda *_: None)


@pytest.fixture(autouse=True)
def _no_secret_is_kept() -> Iterator[None]:
    """Forgets the secrets of a test, which would be redacted in the next one."""
    yield
    SECRETS.clear()


@pytest.fixture(autouse=True)
def _no_log_is_kept() -> Iterator[None]:
    """Closes the log of a test, which would write to the stderr of the next one."""
    yield
    discard_events()


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    """The events of a test, with what is bound in their context."""
    with captured_events() as entries:
        yield entries


@pytest.fixture(autouse=True)
def _no_traceback_is_left() -> Iterator[None]:
    """Fails a test in which a command met a bug, even if the test expects a failure."""
    yield
    found = take_tracebacks()
    assert not found, "a command ended with a bug:\n" + "\n".join(found)
