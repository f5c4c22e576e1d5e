"""Runs the command under a wall clock that a preloaded library shifts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.command import Command

PLACES = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime")
NIGHT = datetime(2027, 3, 1, 2, 15, tzinfo=UTC)
"""The first occurrence of the tests: 02:15 in UTC."""


def find_library() -> Path | None:
    """The library of Debian's package `faketime`; None where it is not installed."""
    for place in PLACES:
        for path in Path("/").glob(f"{place.lstrip('/')}/libfaketime.so.1"):
            return path
    return None


def at(command: Command, instant: datetime) -> Command:
    """
    The command with a clock that shows an instant when it starts.

    Only the wall clock is shifted. Durations are measured by another clock.
    """
    shift = (instant - datetime.now(UTC)) / timedelta(seconds=1)
    return _shifted(command, {"FAKETIME": f"{shift:+.0f}"})


def adjustable(command: Command, home: Path) -> tuple[Command, Path]:
    """The command with a home of its own, and the file with which `set_ahead` sets its clock."""
    home.mkdir(exist_ok=True)
    # The library reads this file when it has no variable with the shift.
    return _shifted(command, {"HOME": str(home)}), home / ".faketimerc"


def set_ahead(file: Path, secs: float) -> None:
    """Sets the clock of processes that run already, too; negative seconds set it back."""
    # A process that reads the file while it is written would see no time at all.
    new = file.with_suffix(".new")
    new.write_text(f"{secs:+.0f}\n")
    new.replace(file)


def _shifted(command: Command, more: dict[str, str]) -> Command:
    variables = {
        **command.variables,
        **more,
        "LD_PRELOAD": str(find_library()),
        # A child of the fork server has a shift of its own.
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Without this, threads that wait for each other use seven times the CPU.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        "TZ": "UTC",
    }
    return replace(command, variables=variables)
