"""Which command does a message name, so that a reader can paste it into a shell?"""

from __future__ import annotations

import shlex
from pathlib import Path


def pasted_command(name: str, path: str | Path, *words: str) -> str:
    """
    `orchestrator NAME PATH …`, with quotes where a shell needs them.

    Args:
        path: of a batch or of a spec.
        words: what follows it.
    """
    return shlex.join(("orchestrator", name, str(path), *words))
