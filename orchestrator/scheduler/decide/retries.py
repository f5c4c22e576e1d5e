"""How an attempt ended, and whether another attempt follows. No clock, no I/O."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from orchestrator.backoff import pause_secs
from orchestrator.errors import NotFound, PlatformError, TruncatedBody
from orchestrator.model.attempts import Attempt, Outcome
from orchestrator.model.proofs import FEWER, GONE, REFUSED
from orchestrator.model.rules import NO_REMEDY, Action, Remedy, Rule
from orchestrator.model.runs import Run
from orchestrator.model.states import RUN_STATUSES, JobStatus, RunStatus

FIRST_DELAY_SECS = 2.0
LONGEST_DELAY_SECS = 120.0
BIGGEST_MBYTES = 32768
"""The most memory that the platform gives a run."""

SUCCESS = Outcome(status=JobStatus.SUCCEEDED)


def outcome_of_run(run: Run, aborted_because: str | None = None) -> Outcome:
    """
    The outcome of an attempt whose run has ended and is collected.

    Args:
        aborted_because: why this program aborted the run; None when it did not.
    """
    if run.status == RunStatus.SUCCEEDED:
        return SUCCESS
    said = f": {run.status_message}" if run.status_message else ""
    code = f" with exit code {run.exit_code}" if run.exit_code else ""
    error = f"run {run.id} {run.status}{code}{said}"
    is_ours = run.status == RunStatus.ABORTED and aborted_because is not None
    if run.status not in RUN_STATUSES:
        error = f"{error}: this version does not know that status"
    return Outcome(
        # An unknown status is not SUCCEEDED; nothing else is sure.
        status=JobStatus(run.status) if run.status in RUN_STATUSES else JobStatus.FAILED,
        error=f"{error}; aborted because {aborted_because}" if is_ours else error,
        is_aborted_by_us=is_ours,
    )


def outcome_of_check(run: Run, complaint: str | None) -> Outcome:
    """
    The outcome of an attempt whose run succeeded.

    Args:
        complaint: what is not as expected; None when everything is.
    """
    if complaint is None:
        return SUCCESS
    error = f"run {run.id} SUCCEEDED, but {complaint}"
    return Outcome(status=JobStatus.REJECTED, error=error)


def outcome_of_refusal(said: str) -> Outcome:
    """The outcome of an attempt whose start the platform refuses for good."""
    error = f"not started: {said}"
    return Outcome(status=JobStatus.FAILED, error=error, can_retry=False, is_refused=True)


def outcome_of_unreadable(run: Run, error: PlatformError) -> Outcome:
    """
    The outcome of an attempt whose run, or the results of it, the platform refuses to show.

    A run that may have succeeded is paid for: no other attempt follows until it can be read.
    """
    if run.is_terminal and run.status != RunStatus.SUCCEEDED:
        ended = outcome_of_run(run)
        return replace(ended, error=f"{ended.error}; its results cannot be read: {error}")
    return Outcome(
        status=JobStatus.FAILED,
        error=f"run {run.id} {run.status}, but it cannot be read: {error}; no other run is "
        "started, and `orchestrator collect` or `orchestrator retry` reads it again",
        can_retry=False,
    )


def why_unproven(error: PlatformError) -> str:
    """Why a dataset is not proven complete, when the results of its run cannot be read."""
    match error:
        case NotFound():
            return GONE
        case TruncatedBody():
            return FEWER
        case _:
            return REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    What follows an attempt that is over.

    Attributes:
        delay_secs: before the next attempt; None when its job is settled.
        remedy: what the next attempt does differently.
        stops_batch: whether nothing more may be started.
    """

    delay_secs: float | None = None
    remedy: Remedy = NO_REMEDY
    stops_batch: bool = False


SETTLED = Verdict()


class LogNeeded(Exception):
    """A rule needs the end of the run's log, and the rest of its conditions hold."""


def decide(
    attempt: Attempt,
    outcome: Outcome,
    run: Run | None,
    *,
    jitter: float,
    log_end: str | None = None,
    most_memory_mbytes: int | None = None,
    first_delay_secs: float = FIRST_DELAY_SECS,
) -> Verdict:
    """
    Whether another attempt follows, and how.

    The first rule of the job that matches decides. If none matches, a job whose run did not succeed
    is tried again up to `retries` times. There is no other attempt after a run that somebody
    aborted, or when it could not succeed, such as after an input that was refused.

    Args:
        outcome: of the attempt.
        run: as it ended; None when the attempt has no run: then rules do not apply.
        jitter: a random number from 0 to 1.
        log_end: the last lines of the run's log; None when it has not been read.
        most_memory_mbytes: what a run may have within the limits of the batch.
        first_delay_secs: before the second attempt, where the rule does not say.

    Raises:
        LogNeeded: call again with `log_end`.
    """
    if outcome.error is None or not outcome.can_retry:
        return SETTLED
    rule = None if run is None else _first_match(attempt.job.rules, outcome, run, log_end)
    if rule is None:
        # A person who aborts a run does not want another one, unless a rule says so.
        if outcome.status is JobStatus.ABORTED and not outcome.is_aborted_by_us:
            return SETTLED
        rule = Rule()
    if rule.do is Action.STOP_BATCH:
        return Verdict(stops_batch=True)
    most = attempt.job.retries + 1 if rule.max is None else rule.max
    if rule.do is Action.GIVE_UP or attempt.number >= most:
        return SETTLED
    return Verdict(
        delay_secs=_delay(rule, attempt.number, jitter, first_delay_secs),
        remedy=_remedy(rule, attempt, run, most_memory_mbytes or BIGGEST_MBYTES),
    )


def _first_match(
    rules: Sequence[Rule], outcome: Outcome, run: Run, log_end: str | None
) -> Rule | None:
    for rule in rules:
        if rule.status and outcome.status not in rule.status:
            continue
        if rule.exit_code and run.exit_code not in rule.exit_code:
            continue
        if rule.message and not _has(rule.message, [run.status_message or ""]):
            continue
        # The log last: it costs a request, so all other conditions must hold before.
        if rule.log:
            if log_end is None:
                raise LogNeeded
            if not _has(rule.log, log_end.splitlines()):
                continue
        return rule
    return None


def _has(patterns: Sequence[str], lines: Sequence[str]) -> bool:
    lowered = [line.lower() for line in lines]
    return any(
        fnmatchcase(line, f"*{pattern.lower()}*") for pattern in patterns for line in lowered
    )


def longest_pause_secs(backoff_secs: float | None) -> float:
    """
    How long a job waits for its next attempt at most.

    Args:
        backoff_secs: the first pause by its rules; None when they set none.
    """
    return max(LONGEST_DELAY_SECS, backoff_secs or 0.0)


def _delay(rule: Rule, number: int, jitter: float, first_delay_secs: float) -> float:
    """The pause before the next attempt: it doubles from one to the next, and half is random."""
    first = first_delay_secs if rule.backoff_secs is None else rule.backoff_secs
    longest = pause_secs(number - 1, first_secs=first, longest_secs=longest_pause_secs(first))
    # Random, so that jobs that failed together do not start together.
    return longest * (0.5 + 0.5 * jitter)


def _remedy(rule: Rule, attempt: Attempt, run: Run | None, most_memory_mbytes: int) -> Remedy:
    """What earlier attempts have changed, and what this rule changes too."""
    resurrects = run if rule.do is Action.RESURRECT else None
    before, options = attempt.remedy, attempt.options
    # What the run had counts, because the platform may have used the default of the Actor.
    memory = (run and run.memory_mbytes) or options.memory_mbytes
    timeout = options.timeout_secs if run is None or run.timeout_secs is None else run.timeout_secs
    return Remedy(
        memory_mbytes=(
            _more_memory(memory, rule, most_memory_mbytes)
            if rule.memory_factor and memory
            else before.memory_mbytes
        ),
        timeout_secs=(
            math.ceil(timeout * rule.timeout_factor)
            if rule.timeout_factor and timeout
            else before.timeout_secs
        ),
        build=rule.build or before.build,
        input=_changes(before.input, rule.input),
        resurrects=None if resurrects is None else resurrects.id,
        resurrect_count=0 if resurrects is None else resurrects.resurrect_count or 0,
    )


def _changes(before: str | None, after: str | None) -> str | None:
    """The changes of an input by several rules; the last one wins, field by field."""
    if before is None or after is None:
        return before or after
    return json.dumps(json.loads(before) | json.loads(after))


def _more_memory(memory: int, rule: Rule, most_memory_mbytes: int) -> int:
    """The next power of two within the caps; never less than before."""
    wanted = memory * (rule.memory_factor or 1)
    cap = min(rule.max_memory_mbytes or BIGGEST_MBYTES, most_memory_mbytes, BIGGEST_MBYTES)
    # The platform accepts only powers of two; a cap between two of them counts as the lower one.
    grown = 1 << math.ceil(math.log2(wanted))
    return max(memory, min(grown, 1 << (cap.bit_length() - 1)))
