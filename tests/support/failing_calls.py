"""The command on a system where one call that opens, creates, renames or lists a file fails."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.cli.main import main

CALLS = (
    (os, "open"), (io, "open"), (os, "mkdir"), (os, "rename"), (os, "replace"), (os, "unlink"),
    (os, "symlink"), (os, "fsync"), (os, "ftruncate"), (os, "scandir"), (os, "listdir"),
    (os, "stat"), (os, "link"),
)  # fmt: skip


def main_with_a_failure(words: Sequence[str]) -> None:
    """
    Runs the command.

    Args:
        words: which of the calls fails, counted from 1; the name of the error, such as `EIO`; then
            the arguments of the command.
    """
    number = getattr(errno, words[1])
    remaining, folder = int(words[0]), str(Path.cwd())

    def failing(original: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal remaining
            path = given[0] if given else None
            if Path(str(path)).is_absolute() and not str(path).startswith(folder):
                return original(*given, **named)
            remaining -= 1
            if remaining == 0:
                shown = path if isinstance(path, str) else str(path)
                sys.stderr.write(f"({name} of {shown} fails by {words[1]})\n")
                raise OSError(number, os.strerror(number), shown)
            return original(*given, **named)

        return call

    for module, name in CALLS:
        setattr(module, name, failing(getattr(module, name), name))
    main(words[2:])
