"""
Whether starts may be sent, by how the platform has answered earlier ones. No clock, no I/O.

Besides the limits, two things hold starts back: an Actor that refuses or fails all of its jobs in
the same way (`Breaker`), and a platform whose answers to starts are lost (`LostAnswers`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from orchestrator.backoff import pause_secs
from orchestrator.errors import ActorRefused, NotFound, PlatformError
from orchestrator.model.attempts import Place
from orchestrator.model.jobs import Target

# One refusal may concern one job. Failed runs cost money, but a few may fail by chance.
REFUSALS = 2
FAILED_RUNS = 5
PROBES = 3
PROBE_SECS = 60.0
"""When one job of a paused Actor is tried; the next ones follow after twice and four times that."""

# So many different jobs: one job that is never answered must not pause the others.
UNCONFIRMED_JOBS = 5
FIRST_PAUSE_SECS = 5.0
LONGEST_PAUSE_SECS = 60.0


@dataclass(frozen=True, slots=True)
class Paused:
    """
    Why a start has to wait.

    Attributes:
        until: when it may be tried; None while another start is tried.
    """

    reason: str
    until: float | None


def message_pattern(text: str) -> str:
    """What similar messages have in common: words with a number in them may differ."""
    return re.sub(r"\S*\d\S*", "#", text)


@dataclass(slots=True)
class Record:
    """
    The results of the starts and runs of one target.

    Attributes:
        refusals: how many in a row had the type `refused_as`.
        failures: how many of its first runs failed as `failed_as`.
        counted: the places of their attempts.
        works: whether one of them succeeded, or failed in another way.
        reason: why the target is paused; empty when it is not.
        probes: how many jobs were tried since then.
        probe_at: when the next one may be tried.
        probe: the place in the spec of the job that is tried; -1 before it is known.
    """

    refusals: int = 0
    refused_as: str | None = None
    failures: int = 0
    counted: list[list[int]] = field(default_factory=list)
    failed_as: str = ""
    works: bool = False
    reason: str = ""
    probes: int = 0
    probe_at: float = 0.0
    probe: int | None = None


@dataclass(slots=True)
class Breaker:
    """
    Which Actors and tasks refuse or fail all of their jobs in the same way.

    Attributes:
        probe_secs: how long after the pause began a job of the target is tried.
        held: the targets whose other jobs fail without a start, and why.
    """

    probe_secs: float = PROBE_SECS
    held: dict[Target, str] = field(default_factory=dict)
    _records: dict[Target, Record] = field(default_factory=dict)

    def refused(self, target: Target, error: PlatformError) -> None:
        """Counts a start that was refused for a reason that concerns its target."""
        record = self._of(target)
        if record.refused_as != error.error_type:
            record.refusals, record.refused_as = 0, error.error_type
        record.refusals += 1
        if record.refusals >= REFUSALS:
            self.held.setdefault(target, str(error))

    def accepted(self, target: Target) -> None:
        """Notes that the platform has accepted a start."""
        self._of(target).refusals = 0

    def succeeded(self, target: Target) -> None:
        """Notes that a run succeeded: the target is not paused any more."""
        record = self._of(target)
        record.works, record.reason, record.probe = True, "", None

    def failed(self, target: Target, place: Place, kind: str, error: str, now: float) -> None:
        """
        Counts a run that failed, once: another process may take over an attempt that was counted.

        Args:
            place: of its attempt.
            kind: the same for similar failures.
        """
        record = self._of(target)
        if record.reason:
            self._probe_failed(target, record, place[0], error, now)
        # After a success or another kind of failure, the failures are those of the jobs.
        elif not record.works and list(place) not in record.counted:
            record.counted.append(list(place))
            record.failed_as = record.failed_as or kind
            record.works = record.failed_as != kind
            record.failures += 1
            if record.failures >= FAILED_RUNS and not record.works:
                record.reason = f"its first {FAILED_RUNS} runs failed alike; the last one: {error}"
                record.probe_at = now + self.probe_secs

    def blocked(self, target: Target, now: float) -> Paused | None:
        """Why no job of a target may start now; None when one may."""
        if target in self.held:
            return Paused(self.held[target], None)
        record = self._records.get(target)
        if record is None or not record.reason:
            return None
        reason = f"{target} is paused: {record.reason}"
        if record.probe is not None:
            return Paused(f"{reason}; one job is tried now", None)
        if now < record.probe_at:
            return Paused(f"{reason}; one job is tried soon", record.probe_at)
        return None

    def take(self, target: Target) -> None:
        """Notes that a job of a target is about to start."""
        record = self._records.get(target)
        if record is not None and record.reason:
            record.probe = -1

    def begins(self, target: Target, seq: int) -> None:
        """Notes which job it is."""
        record = self._records.get(target)
        if record is not None and record.probe == -1:
            record.probe = seq

    def not_started(self, target: Target, seq: int) -> None:
        """Notes that a start has no run: if its job was the one that was tried, another one is."""
        record = self._records.get(target)
        if record is not None and record.probe == seq:
            record.probe = None

    def record(self, target: Target) -> Record | None:
        """What is known of a target; None when nothing is."""
        return self._records.get(target)

    def stored(self, target: Target) -> dict[str, Any]:
        """What other processes should know of a target; each counts its refusals alone."""
        fields = asdict(self._of(target))
        del fields["refusals"], fields["refused_as"]
        return {**fields, "held": self.held.get(target, "")}

    def restore(self, target: Target, stored: Mapping[str, Any], later_secs: float = 0.0) -> None:
        """
        Replaces what is known of a target by what was stored.

        Args:
            later_secs: how much more the clock of this process shows.
        """
        fields = dict(stored)
        held, before = fields.pop("held"), self._of(target)
        fields["probe_at"] += later_secs
        self._records[target] = Record(
            **fields, refusals=before.refusals, refused_as=before.refused_as
        )
        if held:
            self.held.setdefault(target, held)

    def _of(self, target: Target) -> Record:
        record = self._records.get(target)
        if record is None:
            record = self._records[target] = Record()
        return record

    def _probe_failed(
        self, target: Target, record: Record, seq: int, error: str, now: float
    ) -> None:
        if record.probe != seq:
            # Its run began before the pause.
            return
        record.probe = None
        record.probes += 1
        if record.probes < PROBES:
            record.probe_at = now + pause_secs(record.probes, first_secs=self.probe_secs)
            return
        self.held[target] = (
            f"{target} is held: its first {FAILED_RUNS} runs failed alike, and none of {PROBES} "
            f"that were tried later succeeded; the last one: {error}"
        )


@dataclass(slots=True)
class LostAnswers:
    """
    Whether the answers to starts are lost in the same way, so that all starts have to wait.

    Attributes:
        accepted: how many starts the platform has accepted.
        since: when the first answer was lost after the last accepted start; None when none was.
    """

    accepted: int = 0
    since: float | None = None
    _jobs: dict[str, set[int]] = field(default_factory=dict)
    _reason: str = ""
    _probes: int = 0
    _next_at: float = 0.0
    _is_probing: bool = False

    @property
    def holds_starts(self) -> bool:
        """Whether starts have to wait, or one of them is tried."""
        return bool(self._reason)

    def accept(self) -> None:
        """Notes that the platform has accepted a start."""
        self.accepted += 1
        if self.since is not None:
            self.since, self._reason, self._probes, self._is_probing = None, "", 0, False
            self._jobs.clear()

    def add(self, seq: int, error: str, now: float) -> None:
        """Counts a start whose answer was lost."""
        self.since = now if self.since is None else self.since
        jobs = self._jobs.setdefault(message_pattern(error), set())
        jobs.add(seq)
        # Cases: a lost probe makes the pause longer, enough jobs begin it, fewer only count.
        if self._is_probing:
            self._is_probing = False
            self._probes += 1
            self._next_at = now + self._pause_secs()
        elif len(jobs) >= UNCONFIRMED_JOBS and not self._reason:
            self._next_at = now + self._pause_secs()
            self._reason = error

    def _pause_secs(self) -> float:
        return pause_secs(
            self._probes, first_secs=FIRST_PAUSE_SECS, longest_secs=LONGEST_PAUSE_SECS
        )

    def blocked(self, now: float) -> Paused | None:
        """Why no start at all may be sent now; None when one may."""
        if not self._reason:
            return None
        reason = (
            f"all starts are paused: the answers to {UNCONFIRMED_JOBS} of them were lost in the "
            f"same way: {self._reason}"
        )
        if self._is_probing:
            return Paused(f"{reason}; one start is tried now", None)
        return (
            Paused(f"{reason}; one start is tried soon", self._next_at)
            if now < self._next_at
            else None
        )

    def take(self) -> None:
        """Notes that a start is about to be sent."""
        self._is_probing = bool(self._reason)

    def end_probe(self) -> None:
        """Notes that the start that was tried is over, with any result."""
        self._is_probing = False


@dataclass(slots=True)
class RepeatCount:
    """
    How often the answer to the start of one job was lost in the same way.

    Only losses after the platform has accepted starts of other jobs count as repeats.

    Attributes:
        in_a_row: all losses of the same kind, also those that do not count.
    """

    count: int = 0
    in_a_row: int = 0
    _kind: str = ""
    _accepted: int = 0

    def add(self, error: str, accepted: int) -> int:
        """
        Counts one more loss; returns the count.

        Args:
            accepted: how many starts of other jobs the platform has accepted so far.
        """
        kind = message_pattern(error)
        self.in_a_row = self.in_a_row + 1 if kind == self._kind else 1
        if kind != self._kind:
            self.count = 1
        elif accepted > self._accepted:
            self.count += 1
        self._kind, self._accepted = kind, accepted
        return self.count


@dataclass(slots=True)
class Gate:
    """
    What holds starts back besides the limits.

    Attributes:
        changed: called when starts that were held back may be sent, or later than it was known.
    """

    breaker: Breaker = field(default_factory=Breaker)
    lost_answers: LostAnswers = field(default_factory=LostAnswers)
    changed: Callable[[], None] = lambda: None
    _away_since: float | None = None

    def answered(self) -> None:
        """Notes that the platform has answered a start, even if it refused it."""
        self._away_since = None

    def away_secs(self, now: float) -> float:
        """Notes that the platform took no start; returns for how many seconds it has taken none."""
        self._away_since = now if self._away_since is None else self._away_since
        return now - self._away_since

    def blocked(self, target: Target | None, now: float) -> Paused | None:
        """Why no job of a target may start now; None when one may."""
        paused = None if target is None else self.breaker.blocked(target, now)
        return paused or self.lost_answers.blocked(now)

    def take(self, target: Target | None) -> None:
        """Notes that a job of a target is about to start."""
        self.lost_answers.take()
        if target is not None:
            self.breaker.take(target)

    def accepted(self, target: Target) -> None:
        """Notes that the platform has accepted a start."""
        self.answered()
        held_starts = self.lost_answers.holds_starts
        self.lost_answers.accept()
        self.breaker.accepted(target)
        # The runs that were accepted may take hours: nothing else would wake the starts that wait.
        if held_starts:
            self.changed()

    def answer_lost(self, seq: int, error: str, now: float) -> None:
        """Counts a start whose answer was lost."""
        self.lost_answers.add(seq, error, now)
        if self.lost_answers.holds_starts:
            self.changed()

    def refused(self, target: Target, error: PlatformError, *, is_resurrection: bool) -> None:
        """
        Notes that the platform has refused a start.

        Args:
            is_resurrection: whether a missing object is the run, and not its target.
        """
        if isinstance(error, ActorRefused) or (isinstance(error, NotFound) and not is_resurrection):
            self.breaker.refused(target, error)
