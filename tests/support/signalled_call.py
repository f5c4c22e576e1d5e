"""The command that gets SIGINT at a chosen moment, which no test can hit by waiting."""

from __future__ import annotations

import os
import pkgutil
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from orchestrator.cli.main import main


def main_signalled(words: Sequence[str]) -> None:
    """
    Runs the command, and sends it SIGINT some steps after the first call of a function.

    Args:
        words: the function, as `module:name`; how many of our functions are called or left in
            between; then the arguments.
    """
    since, left = pkgutil.resolve_name(words[0]).__code__, int(words[1])
    has_begun = False

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal left, has_begun
        has_begun = has_begun or frame.f_code is since
        if not has_begun or "/orchestrator/" not in frame.f_code.co_filename:
            return
        left -= event in {"call", "return"}
        if left < 0:
            sys.setprofile(None)
            os.kill(os.getpid(), signal.SIGINT)

    sys.setprofile(count)
    main(words[2:])
