"""The command on a system that limits the size of files, as on a full disk."""

from __future__ import annotations

import resource
from collections.abc import Sequence

from orchestrator.cli.main import main


def main_with_small_files(words: Sequence[str]) -> None:
    """
    Runs the command.

    Args:
        words: how many bytes a file may have, then the arguments of the command.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(words[0]), resource.RLIM_INFINITY))
    main(words[1:])
