"""A finding of `orchestrator doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How serious a finding is: a problem keeps a batch from running, a warning may do so later."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    The answer of one check.

    Attributes:
        about: what was checked, in one or two words.
        found: what is so.
        advice: what to do; None where nothing is to be done.
    """

    about: str
    state: State = State.OK
    found: str
    advice: str | None = None


def problem(about: str, found: str, advice: str) -> Finding:
    """A finding that keeps a batch from running."""
    return Finding(about=about, state=State.PROBLEM, found=found, advice=advice)


def warning(about: str, found: str, advice: str) -> Finding:
    """A finding that may cause trouble later."""
    return Finding(about=about, state=State.WARNING, found=found, advice=advice)
