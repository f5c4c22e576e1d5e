"""
One grammar to select jobs by, the same for every command: `"tag:eu,status:FAILED name:shop-*"`.

A comma means and, a space means or. Words are matched without regard to case; `name` and `tag` take
shell patterns.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from orchestrator.errors import UsageError
from orchestrator.model.states import JobStatus

KINDS = ("name", "status", "tag")


@dataclass(frozen=True, slots=True)
class Term:
    """
    One condition, such as `tag:eu`; the pattern is in lower case.
    """

    kind: str
    pattern: str

    def matches(self, key: str, status: str, tags: Collection[str]) -> bool:
        """
        Whether a job fulfils the condition.
        """
        match self.kind:
            case "name":
                return fnmatchcase(key.lower(), self.pattern)
            case "status":
                return status.lower() == self.pattern
            case _:
                return any(fnmatchcase(tag.lower(), self.pattern) for tag in tags)


@dataclass(frozen=True, slots=True)
class Selection:
    """
    Alternatives, each of them conditions that must all hold; none at all selects every job.
    """

    alternatives: tuple[tuple[Term, ...], ...] = ()

    def matches(self, key: str, status: str, tags: Collection[str]) -> bool:
        """
        Whether a job is selected.
        """
        return not self.alternatives or any(
            all(term.matches(key, status, tags) for term in terms) for terms in self.alternatives
        )


def parse_selection(text: str | None) -> Selection:
    """
    Reads a selection; None and blank text select every job.

    Raises:
        UsageError: a part of it is no condition.
    """
    return Selection(
        tuple(
            tuple(_term(word) for word in alternative.split(","))
            for alternative in (text or "").split()
        )
    )


def _term(word: str) -> Term:
    kind, colon, pattern = word.partition(":")
    if not colon or kind not in KINDS or not pattern:
        raise UsageError(
            f"{word!r} selects nothing: expected name:PATTERN, status:STATUS or tag:PATTERN; "
            "a comma is and, a space is or"
        )
    if kind == "status" and pattern.upper() not in set(JobStatus):
        known = ", ".join(status.value for status in JobStatus)
        raise UsageError(f"{pattern!r} is no status of a job; there are {known}")
    return Term(kind, pattern.lower())
