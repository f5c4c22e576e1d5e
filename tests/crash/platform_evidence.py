"""What the platform saw of a batch: it alone knows what was started, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """
    A run of an attempt.

    Attributes:
        place: of its job in the spec, counted from 0; in base 36 in marks.
        attempt: counted from 1.
        begins, ends: by the platform's clock, in Unix seconds.
    """

    place: int
    attempt: int
    begins: float
    ends: float
    status: str
    cost_usd: Decimal


def is_of_batch(run: dict[str, Any]) -> bool:
    """Whether a run was started by the command."""
    return "(attempt " in run["meta"]["userAgent"]


def seen_runs(runs: Iterable[dict[str, Any]]) -> list[Seen]:
    """The runs of attempts, in the order of their starts."""
    found = []
    for run in filter(is_of_batch, runs):
        _, place, attempt, _send = run["meta"]["userAgent"].rpartition("(attempt ")[2].split(".")
        found.append(
            Seen(
                place=int(place, 36),
                attempt=int(attempt),
                begins=_unix(run["startedAt"]),
                ends=_unix(run["finishedAt"]),
                status=run["status"],
                cost_usd=Decimal(str(run["usageTotalUsd"])),
            )
        )
    return sorted(found, key=lambda one: one.begins)


def started_twice(runs: Iterable[Seen]) -> list[tuple[int, int]]:
    """The attempts that have more than one run."""
    counts = Counter((one.place, one.attempt) for one in runs)
    return sorted(attempt for attempt, count in counts.items() if count > 1)


def lost_jobs(runs: Iterable[Seen], jobs: int) -> list[int]:
    """The jobs without a run that succeeded."""
    return sorted(set(range(jobs)) - {one.place for one in runs if one.status == "SUCCEEDED"})


def most_at_once(runs: Iterable[Seen], weight: Callable[[Seen], int] = lambda _: 1) -> int:
    """The largest sum over the runs that were live at one moment."""
    # An end counts before a beginning at the same millisecond.
    edges = [(one.begins, 1, weight(one)) for one in runs]
    edges += [(one.ends, 0, -weight(one)) for one in runs]
    live = most = 0
    for _, _, change in sorted(edges):
        live += change
        most = max(most, live)
    return most


def most_starts_within(runs: Sequence[Seen], secs: float) -> int:
    """The most starts in any span of this length."""
    first = most = 0
    for last, one in enumerate(runs):
        while one.begins - runs[first].begins >= secs:
            first += 1
        most = max(most, last - first + 1)
    return most


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
