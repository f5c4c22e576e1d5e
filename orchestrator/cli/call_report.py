"""What a call prints besides progress: notes and warnings to stderr, the summary to stdout."""

from __future__ import annotations

import sys

from orchestrator.app.batch.lifecycle import Result
from orchestrator.event_log import LOG


class PrintedReport:
    """
    Prints what a call does.

    Args:
        as_json: whether the summary is JSON.
        logs_json: whether stderr has only JSON, so that a warning is an event there.
    """

    def __init__(self, *, as_json: bool, logs_json: bool) -> None:
        self._as_json = as_json
        self._logs_json = logs_json

    def note(self, sentence: str) -> None:
        """Prints a line to stderr."""
        sys.stderr.write(f"{sentence}\n")

    def warn(self, sentence: str) -> None:
        """Prints a warning to stderr."""
        if self._logs_json:
            LOG.warning("occurrence_warned", message=sentence)
        else:
            self.note(f"warning: {sentence}")

    def ended(self, result: Result, *, is_earlier: bool) -> None:
        """Prints the summary: to stderr for an earlier batch, because stdout is this one's."""
        # Imported late, so that no start waits for it.
        from orchestrator.cli.batch_report import report

        report(result, as_json=self._as_json, to_stderr=is_earlier)
