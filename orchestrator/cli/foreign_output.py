"""What Actors made, on standard output: unchanged into a file or a pipe, harmless on a terminal."""

from __future__ import annotations

import sys

from orchestrator.report.log_text import LogText


class ForeignOutput:
    """Standard output for bytes that may hold anything, also sequences that steer a terminal."""

    def __init__(self) -> None:
        self._shown = LogText() if sys.stdout.isatty() else None

    def write(self, piece: bytes) -> None:
        """Writes the next bytes."""
        if self._shown is None:
            sys.stdout.buffer.write(piece)
        else:
            sys.stdout.write(self._shown.feed(piece))
        sys.stdout.flush()

    def finish(self) -> None:
        """Writes what was held back."""
        if self._shown is not None:
            sys.stdout.write(self._shown.finish())
            sys.stdout.flush()
