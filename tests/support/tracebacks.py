"""The folder of this test process in which commands leave the tracebacks of their bugs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="orchestrator-tests-")


def temporary_folder() -> str:
    """The value of TMPDIR for every command of the tests."""
    return _folder().name


def take_tracebacks() -> list[str]:
    """The tracebacks that commands have left since the last call; removes their files."""
    texts = []
    for path in sorted(Path(temporary_folder()).glob("orchestrator-bug-*.log")):
        texts.append(path.read_text())
        path.unlink()
    return texts
