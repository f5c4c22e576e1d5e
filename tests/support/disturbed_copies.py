"""The command, while other processes disturb the copies that it makes of earlier results."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.cli.main import main

COPY_SECS = 0.05
copytree = shutil.copytree


def main_slow(words: Sequence[str]) -> None:
    """Runs the command; each copy takes its time."""

    def copy(*args: Any, **kwargs: Any) -> None:
        copytree(*args, **kwargs)
        time.sleep(COPY_SECS)

    shutil.copytree = copy  # type: ignore[assignment]
    main(words)


def main_pruned(words: Sequence[str]) -> None:
    """Runs the command; `prune` removes the earlier batch just before the second copy."""
    copied: list[Path] = []

    def copy(source: Path, *args: Any, **kwargs: Any) -> None:
        copied.append(source)
        if len(copied) > 1:
            batch = source.parent.parent
            batch.rename(batch.with_name(f".{batch.name}.gone"))
        copytree(source, *args, **kwargs)

    shutil.copytree = copy  # type: ignore[assignment]
    main(words)
