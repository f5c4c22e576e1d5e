"""The command as a shell starts it that has limited the open files (`ulimit -n`)."""

from __future__ import annotations

import resource
from collections.abc import Sequence

from orchestrator.cli.main import main


def main_with_limits(words: Sequence[str]) -> None:
    """Runs the command; the first two words are the soft limit and the hard one."""
    soft, hard, *rest = words
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(soft), int(hard)))
    main(rest)
