"""
The command's own `platform serve`, with every answer held against the API's description.

It ends as a bug of ours, and says which answer it was, when one of them broke the contract.
"""

from __future__ import annotations

from collections.abc import Sequence

import orchestrator.platform
from orchestrator.cli.main import main
from tests.support.openapi import watched_platform


def main_watched(words: Sequence[str]) -> None:
    """
    The command, whose platform is watched.
    """
    orchestrator.platform.serve_platform = watched_platform  # type: ignore[assignment] # the same call
    main(words)
