"""The command, whose reports are never finished: as on a file system that does not answer."""

from __future__ import annotations

import time
from collections.abc import Sequence

from orchestrator.app.batch import final_files
from orchestrator.app.setup import signals
from orchestrator.cli.main import main

LEAVE_SECS = 2.0


def main_stuck(words: Sequence[str]) -> None:
    """The command, which has two seconds to leave instead of ten."""
    final_files.write_reports = _never  # type: ignore[assignment]
    signals.LEAVE_SECS = LEAVE_SECS
    main(words)


def _never(*_: object) -> None:
    while True:
        time.sleep(60)
