"""
The grammar that selects jobs in every command: `"tag:eu,status:FAILED name:shop-*"`.

A comma means and, a space means or. Case is ignored; `name` and `tag` take shell patterns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain, islice
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.model.states import JobStatus

if TYPE_CHECKING:
    # The command line parses selections, and must not wait for pydantic, which jobs need.
    from orchestrator.model.jobs import Job

KINDS = ("name", "status", "tag")


@dataclass(frozen=True, slots=True)
class Term:
    """One condition, such as `tag:eu`; the pattern is in lower case."""

    kind: str
    pattern: str

    def matches(self, key: str, status: str, tags: Collection[str]) -> bool:
        """Whether a job fulfils the condition."""
        match self.kind:
            case "name":
                return fnmatchcase(key.lower(), self.pattern)
            case "status":
                return status.lower() == self.pattern
            case _:
                return any(fnmatchcase(tag.lower(), self.pattern) for tag in tags)


@dataclass(frozen=True, slots=True)
class Selection:
    """Alternatives of conditions that must all hold; without any, every job is selected."""

    alternatives: tuple[tuple[Term, ...], ...] = ()

    def matches(self, key: str, status: str, tags: Collection[str]) -> bool:
        """Whether a job is selected."""
        return not self.alternatives or any(
            all(term.matches(key, status, tags) for term in terms) for terms in self.alternatives
        )

    def without_statuses(self) -> Selection:
        """What it would select if jobs had any status."""
        return Selection(
            tuple(
                tuple(term for term in terms if term.kind != "status")
                for terms in self.alternatives
            )
        )


@dataclass(frozen=True, slots=True)
class Keys:
    """Jobs selected by their keys."""

    keys: frozenset[str]

    def matches(self, key: str, status: str, tags: Collection[str]) -> bool:  # noqa: ARG002
        """Whether a job is selected; as `Selection.matches`."""
        return key in self.keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """
    Which jobs of a spec are wanted, as typed on the command line; all of them by default.

    Attributes:
        limit: only this many of the selected jobs, the first ones; None for all.
    """

    select: str | None = None
    exclude: str | None = None
    limit: int | None = None

    def of(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """
        The chosen jobs, as a stream; none of them has a status yet.

        Raises:
            UsageError: a part of the selection is not a condition, or no job is chosen.
        """
        wanted = filter(self.test(), jobs)
        first = next(wanted, None)
        if first is None and self.select is None and self.exclude is None:
            return
        if first is None:
            given = " ".join(
                filter(
                    None,
                    (
                        self.select and f"--select {self.select!r}",
                        self.exclude and f"--exclude {self.exclude!r}",
                    ),
                )
            )
            raise UsageError(f"no job of the spec is selected by {given}")
        yield from islice(chain([first], wanted), self.limit)
        # To the end, because the stream then reports the mistakes of all jobs.
        deque(wanted, maxlen=0)

    def test(self) -> Callable[[Job], bool]:
        """
        A function that tells whether a job without a status is chosen, apart from the limit.

        Raises:
            UsageError: a part of the selection is not a condition.
        """
        selected, excluded = parse_selection(self.select), parse_selection(self.exclude)
        status = JobStatus.NOT_STARTED

        def is_wanted(job: Job) -> bool:
            return selected.matches(job.key, status, job.tags) and not (
                excluded.alternatives and excluded.matches(job.key, status, job.tags)
            )

        return is_wanted


EVERYTHING = Choice()


def parse_selection(text: str | None) -> Selection:
    """
    Reads a selection; None selects every job.

    Raises:
        UsageError: it is empty, as an unset variable of a script is, or a part is not a condition.
    """
    if text is not None and not text.strip():
        raise UsageError(
            "a selection is empty, which does not mean every job: give a condition such as "
            "tag:eu, or omit --select and --exclude"
        )
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
            f"{word!r} is not a condition: expected name:PATTERN, status:STATUS or tag:PATTERN; "
            "a comma is and, a space is or"
        )
    if kind == "status" and pattern.upper() not in set(JobStatus):
        known = ", ".join(status.value for status in JobStatus)
        raise UsageError(f"{pattern!r} is not a job status; there are {known}")
    return Term(kind, pattern.lower())
