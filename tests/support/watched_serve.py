"""
The command's own `platform serve`, which compares every answer with the API's description.

If an answer broke the contract, the command ends as with a bug, and prints which answer it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import apify_emulator.cli.commands
from orchestrator.cli.main import main
from tests.support.openapi import watched_emulator


def main_watched(words: Sequence[str]) -> None:
    """Runs the command; the answers of its platform are checked."""
    apify_emulator.cli.commands.serve_emulator = watched_emulator  # type: ignore[assignment, attr-defined] # the same call
    main(words)
