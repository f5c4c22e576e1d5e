"""Figures for people as plain text."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.model.money import money
from orchestrator.report.progress import Progress


def progress_line(progress: Progress, now: float) -> str:
    """One plain line of progress."""
    left = progress.secs_left(now)
    parts = [
        f"{progress.done} of {progress.total} done",
        f"{progress.running} running",
        f"{progress.failed} failed",
        f"{progress.items:,} items",
        money(progress.cost_usd),
        f"{clock(progress.elapsed_secs(now))} elapsed",
    ]
    if left is not None and progress.done < progress.total:
        parts.append(f"about {clock(left)} left")
    return ", ".join(parts)


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
