"""Figures for people as plain text."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

from orchestrator.model.money import money
from orchestrator.model.progress import Progress
from orchestrator.report.time_left import SHORTEST_SECS

COMMAND = "orchestrator "
"""What a command that a line names begins with."""


def progress_line(progress: Progress, now: datetime) -> str:
    """One plain line of progress."""
    parts = [
        f"{progress.done:,} of {progress.total:,} done",
        f"{progress.running:,} running",
        f"{progress.failed:,} failed",
        f"{progress.items:,} items",
        money(progress.cost_usd),
        f"{clock(progress.elapsed_secs(now))} elapsed",
    ]
    if progress.collecting:
        parts.insert(2, f"{progress.collecting:,} collecting")
    left = words_left(progress, now)
    if left:
        parts.append(left)
    return ", ".join(parts)


def words_left(progress: Progress, now: datetime) -> str:
    """How long a batch still takes, in words; empty when that cannot be said."""
    secs = progress.secs_left(now)
    if secs is not None and secs >= SHORTEST_SECS:
        return f"about {rounded(secs)} left"
    if progress.late and not progress.waiting:
        runs = "1 run takes" if progress.late == 1 else f"{progress.late:,} runs take"
        return f"{runs} longer than usual"
    return ""


def rate(per_minute: float) -> str:
    """A number of jobs in the unit of time that suits it, such as `12 jobs/min`."""
    if per_minute >= 120:
        amount, unit = per_minute / 60, "s"
    elif per_minute >= 1:
        amount, unit = per_minute, "min"
    else:
        amount, unit = per_minute * 60, "h"
    return f"{amount:,.0f} jobs/{unit}" if amount >= 10 else f"{amount:.1f} jobs/{unit}"


def rounded(secs: float) -> str:
    """A duration for people, rounded up as an estimate is: `40 s`, `7 min`, `2 h 20 min`."""
    if secs <= 90:
        return f"{ceil(secs / 10) * 10} s"
    minutes = ceil(secs / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(ceil(minutes / 10) * 10, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def clock(secs: float) -> str:
    """A duration for people, such as `1:02:03`."""
    return str(timedelta(seconds=round(secs)))


def size(count: int) -> str:
    """A number of bytes for people."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def wrapped(text: str, width: int) -> str:
    """
    Lines with breaks between words only: a terminal would break keys, ids and commands, too.

    A command at the end of a line stays whole, if the terminal is wide enough for it.
    """
    return "\n".join(broken for line in text.split("\n") for broken in _broken(line, width))


def _broken(line: str, width: int) -> list[str]:
    # Imported only for terminals, because rich takes long to import.
    from rich.cells import cell_len

    if cell_len(line) <= width:
        return [line]
    before, command, words = line.partition(COMMAND)
    is_whole = command and cell_len(command + words) <= width
    lines: list[str] = []
    room = 0
    for word in [*before.split(" "), command + words] if is_whole else line.split(" "):
        cells = cell_len(word)
        if lines and cells + 1 <= room:
            lines[-1] += f" {word}"
            room -= cells + 1
        else:
            lines.append(word)
            room = width - cells
    return [one.rstrip() for one in lines]
