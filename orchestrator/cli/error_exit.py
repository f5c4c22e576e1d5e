"""Prints the error that ends the command, and gives its exit code."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback

from orchestrator.app.setup.known_errors import known_error
from orchestrator.errors import OrchestratorError, SpecError
from orchestrator.safe_text import plain

BUG = OrchestratorError.exit_code


def print_error(error: Exception, *, as_json: bool) -> int:
    """
    Prints an error to stderr; returns the exit code.

    Args:
        as_json: whether as one JSON object, unless it is a bug.
    """
    known = known_error(error)
    if known is None:
        _print_bug(error)
        return BUG
    if as_json:
        _print_json(known)
    elif isinstance(known, SpecError):
        sys.stderr.write(f"{known}\n")
    else:
        sys.stderr.write(f"orchestrator: {known}\n")
    return known.exit_code


def _print_json(error: OrchestratorError) -> None:
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


def _print_bug(error: Exception) -> None:
    """Writes the traceback to a file of its own, and names it."""
    # Without secrets: users attach the file to a report.
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
        # The place alone helps, where the disk is full or read-only.
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{last.filename}:{last.lineno}"
        sys.stderr.write(f"it happened at {place}; no traceback was written: {problem.strerror}\n")
    else:
        sys.stderr.write(f"the traceback is in {file.name}\n")
    sys.stderr.write("a batch that was under way can be resumed\n")
