"""What the command says of an error that ends it, and its exit code."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from collections.abc import Iterator

from orchestrator.errors import OrchestratorError, SpecError, UsageError
from orchestrator.safe_text import plain
from orchestrator.system_errors import error_of

BUG = OrchestratorError.exit_code


def tell(error: Exception, *, as_json: bool) -> int:
    """
    Writes what an error means to stderr; returns the exit code.

    Args:
        as_json: whether as one JSON object, where it is no bug.
    """
    known = known_error(error)
    if known is None:
        _tell_bug(error)
        return BUG
    if as_json:
        _tell_as_json(known)
    elif isinstance(known, SpecError):
        sys.stderr.write(f"{known}\n")
    else:
        sys.stderr.write(f"orchestrator: {known}\n")
    return known.exit_code


def _tell_as_json(error: OrchestratorError) -> None:
    facts: dict[str, object] = {
        "code": error.exit_code,
        "kind": type(error).__name__,
        "message": str(error),
    }
    if isinstance(error, SpecError):
        facts["mistakes"] = [
            {name: getattr(mistake, name) for name in mistake.__slots__}
            for mistake in error.mistakes
        ]
    sys.stderr.write(json.dumps(facts) + "\n")


def known_error(error: Exception) -> OrchestratorError | None:
    """
    What an error means for the user; None when it is a bug of ours.

    Task groups wrap the errors of their tasks: the first one that is a bug counts, else the first.
    """
    errors = [_known(leaf) for leaf in _leaves(error)]
    if None in errors:
        return None
    return errors[0]


def _tell_bug(error: Exception) -> None:
    """Writes the traceback to a file of its own, and names it."""
    text = plain("".join(traceback.format_exception(error)))
    words = plain(f"{type(error).__name__}: {error}")
    sys.stderr.write(f"orchestrator: this is a bug of ours: {words}\n")
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="orchestrator-bug-", suffix=".log", delete=False,
            encoding="utf-8", errors="backslashreplace",
        ) as file:  # fmt: skip
            file.write(text)
    except OSError as problem:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{last.filename}:{last.lineno}"
        sys.stderr.write(f"it happened at {place}; no traceback is written: {problem.strerror}\n")
    else:
        sys.stderr.write(f"the traceback is in {file.name}\n")
    sys.stderr.write("a batch that was under way can be resumed\n")


def _known(error: Exception) -> OrchestratorError | None:
    if isinstance(error, OrchestratorError):
        return None if type(error) is OrchestratorError else error
    if isinstance(error, OSError):
        place = "a file" if error.filename is None else error.filename
        advice = "fix that, then try again"
        return error_of(error, place, "used", otherwise=UsageError, advice=advice)
    return None


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
