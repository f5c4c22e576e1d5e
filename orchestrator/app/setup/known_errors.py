"""Which errors have a meaning for the user, also inside the groups of anyio's task groups."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.errors import OrchestratorError, OutOfResources, UsageError
from orchestrator.system_errors import error_of

NO_THREAD = "can't start new thread"
"""How Python says that the system refuses a thread; the class of the error says less."""


def known_error(error: Exception) -> OrchestratorError | None:
    """
    The error for the user; None if it is a bug.

    In a group, one bug makes the whole group a bug. Otherwise the first error counts.
    """
    errors = [_known(leaf) for leaf in _leaves(error)]
    return None if None in errors else errors[0]


def _known(error: Exception) -> OrchestratorError | None:
    if isinstance(error, OrchestratorError):
        # The root class itself stands for a broken invariant, which is a bug.
        return None if type(error) is OrchestratorError else error
    if isinstance(error, OSError):
        place = "a file" if error.filename is None else error.filename
        advice = "fix that, then try again"
        return error_of(error, place, "used", otherwise=UsageError, advice=advice)
    if isinstance(error, MemoryError):
        return OutOfResources("the system gives this process no more memory: give it more")
    if isinstance(error, RuntimeError) and str(error) == NO_THREAD:
        return OutOfResources(
            "the system lets this process start no more threads: raise the limit of processes "
            "(`ulimit -u`, TasksMax of systemd, or the limit of pids of the container)"
        )
    return None


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
