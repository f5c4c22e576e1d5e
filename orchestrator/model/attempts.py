"""Attempts at a job: what one try is, what was collected of it and how it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from string import ascii_lowercase
from typing import NamedTuple

from orchestrator.model.ids import DatasetId, Mark
from orchestrator.model.jobs import Job, RunOptions
from orchestrator.model.proofs import Proof
from orchestrator.model.rules import NO_REMEDY, Remedy
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.safe_text import one_line

# The ledger, the log and the report repeat the error, and an Actor decides its length.
LONGEST_ERROR = 2000
# The clock of a machine may be wrong by a day; the hour is a margin.
CLOCK_UNCERTAINTY = timedelta(hours=25)
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def make_mark(batch_mark: str, seq: int, number: int, send: int, word: str = "") -> Mark:
    """
    The mark of one send of one attempt, in 12 to 25 characters of `a-z0-9.`.

    It begins with the mark of the batch. The job (`seq`, base 36), the attempt and the send follow:
    with the number of the send, a run of the first send is not taken for one of the second.

    Args:
        word: random letters of the process, so that two processes on copies of one ledger send
            different marks; empty in marks of versions that had no such word.
    """
    return Mark(f"{mark_stem(batch_mark, seq, number)}{send}{word}")


def mark_stem(batch_mark: str, seq: int, number: int) -> str:
    """What the marks of all sends of one attempt begin with."""
    # Base 36, because the mark is sent in a header with each start and should be short.
    digits = ""
    rest = seq
    while rest or not digits:
        rest, digit = divmod(rest, 36)
        digits = DIGITS[digit] + digits
    return f"{batch_mark}.{digits}.{number}."


Place = tuple[int, int]
"""A job's place in the spec, and the number of the attempt."""


def place_of(mark: Mark) -> Place:
    """The job's place in the spec and the number of the attempt that a mark names."""
    _, seq, number, _ = mark.split(".")
    return int(seq, 36), int(number)


def send_of(mark: Mark) -> int:
    """The number of the send that a mark names."""
    return int(mark.rpartition(".")[2].rstrip(ascii_lowercase))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    One try at a job.

    Attributes:
        number: counted from 1.
        send: how many start requests this attempt has needed, counted from 1.
        mark: of the last send.
        intent_at: when the last send was intended, by our clock; aware UTC.
        platform_at: the same instant by the platform's clock; None when it was not known.
        reserved_usd: what the budget holds for its run; None without a budget.
        caps_itself: whether the job caps its cost, so that we chose no cap.
        remedy: what it does differently from its job.
        run: as last known; None before it is known.
        ended_at: the platform's time at which the end of its run became known; None before it, or
            when the platform's time was not known.
    """

    job: Job
    number: int
    send: int
    mark: Mark
    state: AttemptState
    intent_at: datetime
    platform_at: datetime | None = None
    reserved_usd: Decimal | None = None
    caps_itself: bool = True
    remedy: Remedy = NO_REMEDY
    run: Run | None = None
    ended_at: datetime | None = None

    @property
    def listed_from(self) -> datetime:
        """
        The earliest start of a run of the last send, by the platform's clock.

        If its time at the intent is not known, our clock may have been wrong by a day. It is a
        whole second, because the platform may show no more of the start of a run.
        """
        earliest = self.platform_at or self.intent_at - CLOCK_UNCERTAINTY
        return earliest.replace(microsecond=0)

    @property
    def options(self) -> RunOptions:
        """The parameters of its start."""
        remedy, options = self.remedy, self.job.options
        if remedy is NO_REMEDY:
            return options
        return replace(
            options,
            memory_mbytes=remedy.memory_mbytes or options.memory_mbytes,
            # Not `or`: a timeout of 0 means that the run has none.
            timeout_secs=options.timeout_secs
            if remedy.timeout_secs is None
            else remedy.timeout_secs,
            build=remedy.build or options.build,
        )


def sent_job(job: Job, remedy: Remedy) -> Job:
    """A job with the input that an attempt with this remedy sends."""
    if remedy.input is None:
        return job
    change = json.loads(remedy.input)
    table = json.loads(job.input.body or b"{}") | change
    body = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    changed = replace(
        job.input,
        body=body,
        sha256=sha256(body).hexdigest(),
        size_bytes=len(body),
        late_paths=tuple(path for path in job.input.late_paths if path[0] not in change),
    )
    return replace(job, input=changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherDataset:
    """
    A dataset that a run filled besides its default one, as it was collected.

    Attributes:
        name: its alias in the run; or its name, if runs share it.
        dataset_id, file, items, size_bytes, sha256: None if it is shared: the batch has it once.
        file: its name in `datasets/`.
        proof: that the file is complete; None when that is not known.
    """

    name: str
    dataset_id: DatasetId | None = None
    file: str | None = None
    items: int | None = None
    size_bytes: int = 0
    sha256: str | None = None
    stored: int = 0
    proof: str | None = None

    @property
    def is_shared(self) -> bool:
        """Whether it has a name, and other runs may fill it too."""
        return self.dataset_id is None


class Collected(NamedTuple):
    """
    What was downloaded of a run; a tuple, because each job makes one.

    Attributes:
        items: rows of the dataset file, as the platform counts them; None when not asked for.
        size_bytes: of the dataset file.
        sha256: of the dataset file, hex; None when not asked for.
        records: how many there are in `records/`; None when none were asked for.
        missing: what the job asks for and the run does not have, in words.
        proof: that the dataset file is complete; None when that is not known.
        unproven: why it is not known, in words.
        datasets: the other ones that were collected.
        elsewhere: which of them hold items although the default dataset is empty, in words.
    """

    items: int | None = None
    size_bytes: int = 0
    sha256: str | None = None
    records: int | None = None
    missing: tuple[str, ...] = ()
    proof: Proof | None = None
    unproven: str | None = None
    datasets: tuple[OtherDataset, ...] = ()
    elsewhere: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    How an attempt ended.

    Attributes:
        status: of the job, if no other attempt follows.
        error: for people, one line without secrets: what happened and what the platform said; None
            on success.
        can_retry: whether another attempt may end differently.
        is_aborted_by_us: whether this program aborted the run, not a person.
        is_refused: whether the start was refused, so that there is no run.
    """

    status: JobStatus
    error: str | None = None
    can_retry: bool = True
    is_aborted_by_us: bool = False
    is_refused: bool = False

    def __post_init__(self) -> None:
        # An error may quote the platform or the Actor, and goes to the ledger and to terminals.
        if self.error is not None:
            object.__setattr__(self, "error", one_line(self.error, LONGEST_ERROR))
