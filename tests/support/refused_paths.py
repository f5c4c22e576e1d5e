"""The command on a system that refuses to open, create or rename some paths."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from orchestrator.cli.main import main

CALLS = ("open", "mkdir", "rename", "replace", "symlink", "scandir", "listdir", "stat")


def main_refused(words: Sequence[str]) -> None:
    """
    Runs the command.

    Args:
        words: the call that fails, a pattern of the paths for which it fails, the name of the error
            (`EROFS`), then the arguments of the command.
    """
    call, pattern, name = words[:3]
    assert call in CALLS
    # pathlib opens files by either of them.
    for module in (os, io) if call == "open" else (os,):
        original = getattr(module, call)
        setattr(module, call, _refusing(original, pattern, getattr(errno, name)))
    main(words[3:])


def _refusing(original: Callable[..., Any], pattern: str, number: int) -> Callable[..., Any]:
    def call(path: Any, *given: Any, **named: Any) -> Any:
        if isinstance(path, str | os.PathLike) and fnmatchcase(os.fspath(path), pattern):
            raise OSError(number, os.strerror(number), os.fspath(path))
        return original(path, *given, **named)

    return call
