"""Calls of `run --resume` on a shifted clock, as by cron or a supervisor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.support.clock import at
from tests.support.command import Command, Done, ServedPlatform, sweep, wait_until

SCHEDULE = 'schedule = "15 2 * * *"\ntimezone = "UTC"\nmax_runs = 2'
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
CALL = ("run", "--resume", "s.toml")


NOTHING: Mapping[str, str] = MappingProxyType({})


class Calls:
    """A spec in a folder with its own platform."""

    def __init__(
        self, folder: Path, platform: ServedPlatform, variables: Mapping[str, str] = NOTHING
    ) -> None:
        own = {**platform.variables(), "ORCHESTRATOR_COSTS_SETTLE_SECS": "1", **variables}
        self.command = Command(folder=folder, variables=own)
        self.platform = platform

    def write(self, jobs: int = 2, batch: str = SCHEDULE, more: str = "", **work: Any) -> None:
        """Writes the spec; `more` are further tables."""
        text = sweep("night", jobs=jobs, batch=batch, **{"duration_secs": 0, "items": 1, **work})
        self.command.write("s.toml", text + more)

    def call(self, instant: datetime, *words: str) -> Done:
        """Calls the command at an instant, as cron does."""
        return at(self.command, instant).run(*(words or CALL))

    def cut(
        self, instant: datetime, number: int, *, runs: int, also: Callable[[], bool] = lambda: True
    ) -> int:
        """Calls the command, and sends a signal when the platform has so many runs, and `also`."""
        process = at(self.command, instant).start(*CALL)
        wait_until(lambda: self.runs >= runs and also(), f"{runs} runs", secs=240)
        process.send_signal(number)
        process.communicate()
        return process.code

    @property
    def runs(self) -> int:
        """How many runs were started."""
        return len(self.platform.runs())

    @property
    def batches(self) -> list[str]:
        """The occurrences of all batches, the newest batch first."""
        found = self.command.run("list", "--json").json["batches"]
        return [batch["occurrence"][5:16] for batch in found]
