"""
The table of jobs as compact JSON, which the script of the page draws.

The file must stay small enough to open at once and to be sent by mail: rows beyond the limit are
left out and counted, those of jobs that succeeded first.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

import orjson

from orchestrator.ledger.records import ListedAttempt, ListedJob
from orchestrator.model.batches import Batch
from orchestrator.model.jobs import Target, TargetKind
from orchestrator.model.states import FAILED_JOB_STATUSES, JobStatus
from orchestrator.report.summary import status_of
from orchestrator.safe_text import plain

MOST_BYTES = 3_900_000
"""Of all rows and errors together; with everything else, the page stays below 5 MB."""

LONGEST_VALUE = 80
LONGEST_ERROR = 400
STATUSES = tuple(JobStatus)
ACTOR = TargetKind.ACTOR
FIRST_STATUSES = FAILED_JOB_STATUSES | {JobStatus.RUNNING}
"""The statuses of jobs that no others push out."""

STRAGGLER, NEAR_CAP, HAS_LOG, REUSED, SLOWER, DEARER, FEWER = (1 << bit for bit in range(7))
"""The flags of a row, which the script names."""


class ShownJob(NamedTuple):
    """
    A job with the figures that people look for.

    Attributes:
        actor: what it runs, in words.
        params: as text.
        secs: of its last run; None while it is in progress.
        cost_usd: of all its runs; None when no cost is known.
    """

    listed: ListedJob
    actor: str
    params: Mapping[str, str]
    status: JobStatus
    items: int | None
    secs: float | None
    cost_usd: Decimal | None

    @property
    def last(self) -> ListedAttempt | None:
        """Its last attempt."""
        return self.listed.attempts[-1] if self.listed.attempts else None


def actor_words(target: Target) -> str:
    """An Actor by its name; a task with a word that says so."""
    return plain(target.id if target.kind is ACTOR else f"task {target.id}")


def shown_job(batch: Batch, listed: ListedJob) -> ShownJob:
    """A job of a batch with its figures."""
    last = listed.attempts[-1] if listed.attempts else None
    # A resurrected run has several attempts and one cost, which the last of them knows.
    costs = {
        one.run_id: one.cost_usd
        for one in listed.attempts
        if one.cost_usd is not None and one.reused_from is None
    }
    return ShownJob(
        listed=listed,
        actor=actor_words(listed.target),
        params={name: text_of(value) for name, value in listed.params.items()},
        status=status_of(batch, listed.status),
        items=None if last is None else last.items,
        secs=None if last is None else secs_of(last),
        cost_usd=sum(costs.values(), Decimal(0)) if costs else None,
    )


def secs_of(attempt: ListedAttempt) -> float | None:
    """How long the run of an attempt took; None when that is not known."""
    if attempt.started_at is None or attempt.finished_at is None:
        return None
    return (attempt.finished_at - attempt.started_at).total_seconds()


def text_of(value: object) -> str:
    """The value of a parameter for people: short, on one line, without secrets."""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    text = " ".join(plain(text).split())
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


class Rows:
    """
    Rows with the places of their jobs, in half of the memory of a dictionary.

    Attributes:
        size_bytes: of all rows, with the texts that they need besides.
    """

    def __init__(self) -> None:
        self._seqs, self._ends, self._text = array("q"), array("q"), bytearray()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._seqs)

    def add(self, seq: int, row: bytes, more_bytes: int) -> None:
        """Adds a row; its job comes later in the spec than those of the rows before."""
        self._text += row
        self._seqs.append(seq)
        self._ends.append(len(self._text))
        self.size_bytes += len(row) + more_bytes

    def fitting(self, room_bytes: int) -> int:
        """How many rows from the first on have room."""
        return bisect_right(self._ends, room_bytes)

    def first(self, rows: int) -> Iterator[tuple[int, bytes]]:
        """The first rows."""
        begin = 0
        for seq, end in islice(zip(self._seqs, self._ends, strict=True), rows):
            yield seq, bytes(self._text[begin:end])
            begin = end


class JobTable:
    """
    Collects the rows of a table.

    Args:
        errors: the errors of earlier tables of the same batch with their places; new ones are
            added, so that an open page needs only those that it does not have.

    Attributes:
        left_out: how many jobs have no row.
    """

    def __init__(
        self, batch: Batch, errors: dict[str, int] | None = None, most_bytes: int = MOST_BYTES
    ) -> None:
        self._base = batch.created_at
        self._most = most_bytes
        self._names: dict[str, int] = {}
        self._actors: dict[str, int] = {}
        self._errors: dict[str, int] = {} if errors is None else errors
        self._first, self._others = Rows(), Rows()
        self.left_out = 0

    def add(self, job: ShownJob, flags: int) -> None:
        """Adds a job; the caller adds all in the order of the spec."""
        rows = self._first if job.status in FIRST_STATUSES else self._others
        if rows.size_bytes >= self._most:
            self.left_out += 1
            return
        known = len(self._errors)
        row = orjson.dumps(self._row(job, flags))
        rows.add(job.listed.seq, row, 0 if len(self._errors) == known else 2 * LONGEST_ERROR)

    def rows(self) -> Iterator[tuple[int, bytes]]:
        """
        The rows that fit, with the places of their jobs, as a stream.

        To be called once, after all `add`; `left_out` is right from then on.
        """
        others = self._others.fitting(self._most - self._first.size_bytes)
        self.left_out += len(self._others) - others
        return merge(self._first.first(len(self._first)), self._others.first(others))

    def words(self) -> dict[str, Any]:
        """The texts that rows name by their places, and what the script needs beside them."""
        return {
            "statuses": STATUSES,
            "failed": [STATUSES.index(status) for status in STATUSES
                       if status in FAILED_JOB_STATUSES],
            "actors": [*self._actors],
            "params": [*self._names],
            "base": int(self._base.timestamp()),
        }  # fmt: skip

    def errors(self, since: int = 0) -> Sequence[str]:
        """The errors that rows name by their places, from a place on."""
        return [*self._errors][since:]

    def _row(self, job: ShownJob, flags: int) -> list[Any]:
        last, error = job.last, _error_of(job)
        # The last field is there only where an attempt had another input than its job.
        inputs = _other_inputs(job.listed.attempts)
        return [
            job.listed.seq,
            job.listed.key,
            _place(self._actors, job.actor),
            STATUSES.index(job.status),
            len(job.listed.attempts),
            job.items,
            None if job.secs is None else round(job.secs, 1),
            None if job.cost_usd is None else round(float(job.cost_usd), 6),
            None if last is None else _secs_after(self._base, last.started_at),
            None if last is None or last.run_id is None else plain(last.run_id),
            -1 if error is None else _place(self._errors, _short(error)),
            flags | self._own_flags(job),
            self._values(job.params),
            *([inputs] if inputs else ()),
        ]

    @staticmethod
    def _own_flags(job: ShownJob) -> int:
        last = job.last
        if last is None:
            return 0
        flags = HAS_LOG if job.listed.has_log and not last.is_open else 0
        flags |= REUSED if last.reused_from is not None else 0
        for one in job.listed.attempts:
            flags |= STRAGGLER if one.is_straggler else 0
        return flags

    def _values(self, params: Mapping[str, str]) -> list[str | None]:
        """The values in the order in which their names were first met."""
        if params.keys() != self._names.keys():
            for name in params:
                _place(self._names, name)
        return [*map(params.get, self._names)]


def _other_inputs(attempts: Sequence[ListedAttempt]) -> str:
    """Which attempts had another input than their job, and what was in it."""
    numbers: dict[str, list[str]] = {}
    for one in attempts:
        if one.input_changes is not None:
            numbers.setdefault(one.input_changes, []).append(str(one.number))
    if not numbers:
        return ""
    return " · ".join(
        f"attempt {', '.join(of)} with {_short(changes)}" for changes, of in numbers.items()
    )


def _error_of(job: ShownJob) -> str | None:
    """The error of a job, without the id of its run: the same words then stand only once."""
    last, error = job.last, job.listed.error
    if error is None and last is not None and last.is_open:
        error = last.error
    if error is None or last is None:
        return error
    return error.removeprefix(f"run {last.run_id} ")


def _place(places: dict[str, int], text: str) -> int:
    return places.setdefault(text, len(places))


def _short(error: str) -> str:
    error = " ".join(plain(error).split())
    return error if len(error) <= LONGEST_ERROR else f"{error[: LONGEST_ERROR - 1]}…"


def _secs_after(base: datetime, time: datetime | None) -> int | None:
    return None if time is None else round((time - base).total_seconds())


def for_script(parts: Iterable[bytes]) -> Iterator[bytes]:
    """JSON that no text can end early inside an element of HTML."""
    return (part.replace(b"<", b"\\u003c") for part in parts)
