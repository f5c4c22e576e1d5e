"""Which errors are the user's to mend, and which are bugs."""

from __future__ import annotations

from orchestrator.app.setup.known_errors import known_error
from orchestrator.errors import OutOfResources


def test_lack_of_memory_is_no_bug() -> None:
    """Only the user can give the process more."""
    known = known_error(ExceptionGroup("of a task group", [MemoryError()]))
    assert isinstance(known, OutOfResources)


def test_other_errors_of_the_same_class_stay_bugs() -> None:
    """A refused thread is known by its words alone."""
    assert known_error(RuntimeError("Event loop is closed")) is None
