"""The command on a file system that does not answer: it never finishes its reports."""

from __future__ import annotations

import time
from collections.abc import Sequence

from orchestrator.app.batch import final_files
from orchestrator.cli.main import main

LEAVE_SECS = 2.0


def main_stuck(words: Sequence[str]) -> None:
    """Runs the command; it ends two seconds after a signal, instead of ten."""
    final_files.write_reports = _never  # type: ignore[assignment]
    main(words, leave_secs=LEAVE_SECS)


def _never(*_: object) -> None:
    while True:
        time.sleep(60)
