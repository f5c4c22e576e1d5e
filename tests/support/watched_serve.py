"""
The command's own `platform serve`, with every answer held against the API's description.

It ends as a bug of ours, and says which answer it was, when one of them broke the contract.
"""

from __future__ import annotations

from collections.abc import Sequence

import apify_emulator.cli.commands
from orchestrator.cli.main import main
from tests.support.openapi import watched_emulator


def main_watched(words: Sequence[str]) -> None:
    """The command, whose platform is watched."""
    apify_emulator.cli.commands.serve_emulator = watched_emulator  # type: ignore[assignment, attr-defined] # the same call
    main(words)
