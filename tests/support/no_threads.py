"""The command in a system that refuses each thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from orchestrator.cli.main import main

MORE_THAN_ANY_MEMORY = 1 << 46


def main_without_threads(words: Sequence[str]) -> None:
    """Runs the command; no thread gets the memory of its stack."""
    threading.stack_size(MORE_THAN_ANY_MEMORY)
    main(words)
