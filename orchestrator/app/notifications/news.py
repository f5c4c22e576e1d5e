"""Whether the end of a batch is worth a notification. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from orchestrator.model.batches import NotifyWhen


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """
    How a call left a batch.

    Attributes:
        stop_kind: the name of the error class that ended it early; None when none did.
        failed: the status of each job that did not succeed, by its key.
    """

    exit_code: int
    stop_kind: str | None = None
    failed: Mapping[str, str]

    @property
    def is_problem(self) -> bool:
        """Whether somebody has to do something."""
        return self.exit_code != 0

    @property
    def key(self) -> str:
        """Equal for endings that are the same news."""
        failed = "\n".join(f"{key} {status}" for key, status in sorted(self.failed.items()))
        digest = sha256(failed.encode()).hexdigest()[:16]
        return f"{self.exit_code} {self.stop_kind or '-'} {len(self.failed)} {digest}"


def is_worth_a_notification(on: NotifyWhen, now: Ending, before: Ending | None) -> bool:
    """
    Whether a notification is sent.

    Args:
        before: how the last batch of the series ended; None if there is none, or if `on` does not
            ask for a change.
    """
    match on:
        case NotifyWhen.NEVER:
            return False
        case NotifyWhen.ALWAYS:
            return True
        case NotifyWhen.PROBLEM:
            return now.is_problem
        case NotifyWhen.CHANGE:
            return now.is_problem if before is None else has_changed(now, before)


def has_changed(now: Ending, before: Ending) -> bool:
    """Whether the exit code, the reason or the jobs that failed differ."""
    return (now.exit_code, now.stop_kind, now.failed) != (
        before.exit_code,
        before.stop_kind,
        before.failed,
    )
