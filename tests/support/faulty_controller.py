"""The command with short pauses, and with a fault of its process or of its protocol."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.app.outputs import merge
from orchestrator.model.attempts import Attempt
from orchestrator.model.runs import Run
from orchestrator.scheduler.lost_start import LostStartSearch
from tests.support.short_pauses import main_with_short_pauses

STOPPED, KILLED = "stopped", "killed"


def main_with_faulty_end(words: Sequence[str]) -> None:
    """
    Runs the command; of all its processes, the first that merges the results is stopped there.

    The second one is killed there. Each writes its id into a file first.

    Args:
        words: the folder of those files, then the arguments.
    """
    _arm_end(Path(words[0]))
    main_with_short_pauses(words[1:])


def main_naive(words: Sequence[str]) -> None:
    """Runs the command, which sends a start again as soon as one look shows no run of it."""

    async def look_once(self: LostStartSearch, attempt: Attempt, _: float | None) -> Run | None:
        return (await self.read(attempt)).run

    _replace(LostStartSearch, "find", look_once)
    main_with_short_pauses(words[1:])


def _replace(owner: Any, name: str, other: Any) -> None:
    setattr(owner, name, other)


def _arm_end(folder: Path) -> None:
    original = getattr(merge, "write_table")  # noqa: B009 - the module does not export it
    faults = [(STOPPED, signal.SIGSTOP), (KILLED, signal.SIGKILL)]

    def write_table(*given: Any, **named: Any) -> Any:
        answer = original(*given, **named)
        while faults:
            name, number = faults.pop(0)
            try:
                with (folder / name).open("x") as note:
                    note.write(str(os.getpid()))
            except FileExistsError:
                continue
            faults.clear()
            os.kill(os.getpid(), number)
        return answer

    _replace(merge, "write_table", write_table)
