"""What happened, in one sentence, a bar and some figures: the top of a page. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import PurePath

from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch, BatchState
from orchestrator.model.money import money
from orchestrator.model.progress import Progress
from orchestrator.model.states import FAILED_JOB_STATUSES, SETTLED_JOB_STATUSES, JobStatus
from orchestrator.pasted_command import pasted_command
from orchestrator.report.expiry import expiry_warning
from orchestrator.report.failure_lines import sweep_lines
from orchestrator.report.lines import clock, rate, size, words_left
from orchestrator.report.page import svg
from orchestrator.report.page.zone_times import at_minute, at_second, zone_words
from orchestrator.report.summary import proven_jobs, shown_statuses

TONES = {
    JobStatus.SUCCEEDED: "good",
    JobStatus.SKIPPED: "odd",
    JobStatus.NOT_STARTED: "odd",
    JobStatus.RUNNING: "going",
    JobStatus.WAITING: "idle",
}
"""The colour of each status; all others are bad."""

_OPEN = (JobStatus.RUNNING, JobStatus.WAITING, JobStatus.NOT_STARTED)
_ORDER = (*(status for status in JobStatus if status not in _OPEN), *_OPEN)


def tone_of(status: JobStatus) -> str:
    """The class of a status in the style sheet."""
    return TONES.get(status, "bad")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many jobs have a status."""

    status: JobStatus
    jobs: int

    @property
    def tone(self) -> str:
        """The class of its colour."""
        return tone_of(self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with its name, and a remark below it."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeView:
    """
    The top of a page.

    Attributes:
        live: what happens and what jobs wait for, in sentences; empty when no process runs it.
        notes: what people must know, the worst first.
    """

    tone: str
    headline: str
    live: Sequence[str]
    bar: str
    shares: Sequence[Share]
    figures: Sequence[Figure]
    notes: Sequence[str]


def outcome_view(
    batch: Batch,
    totals: Totals,
    *,
    zone: tzinfo,
    now: datetime,
    progress: Progress | None,
    is_held: bool,
    folder: str,
) -> OutcomeView:
    """
    The top of a page.

    Args:
        progress: as the process that runs the batch has recorded it.
        is_held: whether a process runs the batch now.
        folder: as commands name it.
    """
    jobs = shown_statuses(batch, totals)
    shares = [Share(status=status, jobs=count) for status, count in jobs.items()]
    # What is done comes first, as in every bar of progress.
    shares.sort(key=lambda share: _ORDER.index(share.status))
    total = sum(share.jobs for share in shares) or 1
    tone, sentence = headline(batch, jobs, is_held=is_held)
    return OutcomeView(
        tone=tone,
        headline=sentence,
        live=list(_live_words(progress, now)) if progress is not None and is_held else [],
        bar=svg.stacked_bar((share.tone, share.jobs / total) for share in shares),
        shares=shares,
        figures=list(_figures(batch, totals, zone, now)),
        notes=list(_notes(batch, totals, folder, now, is_held=is_held)),
    )


def headline(batch: Batch, jobs: Mapping[JobStatus, int], *, is_held: bool) -> tuple[str, str]:
    """
    The outcome of a batch: its tone and a sentence.

    Args:
        jobs: by status.
    """
    total = sum(jobs.values())
    failed = sum(jobs.get(status, 0) for status in FAILED_JOB_STATUSES)
    done = sum(jobs.get(status, 0) for status in SETTLED_JOB_STATUSES)
    tone = "bad" if failed else "good"
    words = _failed_words(failed, done)
    if is_held:
        return ("bad" if failed else "going"), f"Running: {done:,} of {total:,} jobs done, {words}"
    match batch.state:
        case BatchState.ENDED if not failed:
            return tone, "The job succeeded" if total == 1 else f"All {total:,} jobs succeeded"
        case BatchState.ENDED:
            return tone, f"{failed:,} of {total:,} jobs failed"
        case BatchState.STOPPED:
            return "odd", f"Stopped early: {done:,} of {total:,} jobs done, {words}"
        case _:
            return "odd", f"Interrupted: {done:,} of {total:,} jobs done, {words}"


def _failed_words(failed: int, done: int) -> str:
    return f"{failed:,} failed" if failed or not done else "none failed"


def _live_words(progress: Progress, now: datetime) -> Iterator[str]:
    per_minute = progress.per_minute(now)
    parts = [
        f"{progress.running:,} runs in progress",
        f"{progress.collecting:,} being collected" if progress.collecting else "",
        "" if per_minute is None else rate(per_minute),
        words_left(progress, now),
    ]
    yield ", ".join(filter(None, parts))
    if progress.stopping:
        yield f"It starts nothing more: {progress.stopping}"
    elif progress.limit and progress.limited:
        jobs = "1 job waits" if progress.limited == 1 else f"{progress.limited:,} jobs wait"
        yield f"{jobs}: {progress.limit}"


def _figures(batch: Batch, totals: Totals, zone: tzinfo, now: datetime) -> Iterator[Figure]:
    end = batch.ended_at
    secs = batch.secs_until(end or now)
    yield Figure(name="time", value=clock(secs), remark=_active_words(totals, is_over=bool(end)))
    provisional = "provisional: the platform may still change it"
    remark = provisional if totals.cost_is_provisional else ""
    if totals.paid_again_usd:
        remark = f"{money(totals.paid_again_usd)} of it paid again after a rejected run"
    yield Figure(name="cost", value=money(totals.cost_usd), remark=remark)
    yield Figure(name="items", value=f"{totals.items:,}", remark=size(totals.size_bytes))
    retried = totals.attempts - sum(totals.jobs.values()) + totals.reused
    yield Figure(
        name="runs",
        value=f"{totals.runs:,}",
        remark=f"{retried:,} more attempts than jobs" if retried > 0 else "",
    )
    if totals.reused:
        yield Figure(name="reused", value=f"{totals.reused:,}", remark="from earlier batches")
    yield Figure(
        name="proven complete",
        value=f"{proven_jobs(totals):,}",
        remark=f"of {sum(totals.jobs.values()):,} jobs",
    )
    yield Figure(
        name="began",
        value=at_minute(batch.created_at, zone),
        remark=zone_words(batch.created_at, zone),
    )
    if end is not None:
        yield Figure(name="ended", value=at_minute(end, zone))


def _active_words(totals: Totals, *, is_over: bool) -> str:
    """What the time from first to last does not tell: how much of it somebody worked."""
    if len(totals.calls) < 2 or totals.active_secs is None:
        return "" if is_over else "so far"
    return f"{clock(totals.active_secs)} of it active, in {len(totals.calls)} calls"


def _notes(
    batch: Batch, totals: Totals, folder: str, now: datetime, *, is_held: bool
) -> Iterator[str]:
    if batch.stop_reason:
        yield f"Reason: {batch.stop_reason}"
    if not is_held and batch.state is not BatchState.ENDED:
        yield f"To continue it: {pasted_command('resume', folder)}"
    for line in sweep_lines(totals.sweeps):
        yield f"{line}."
    expiry = expiry_warning(batch, totals, folder, now)
    if expiry is not None:
        yield f"{expiry[0].upper()}{expiry[1:]}."
    if totals.near_cap:
        yield (
            f"{len(totals.near_cap):,} runs cost about as much as the cap that we chose for them "
            "under max_cost_usd, and may have been cut short. They are marked below."
        )
    for orphan in totals.orphans[:5]:
        yield (
            f"Orphan run {orphan.run_id}: it belongs to no attempt of this batch. Its cost is "
            f"counted. Its status is {orphan.status}."
        )
    if len(totals.orphans) > 5:
        yield f"{len(totals.orphans) - 5:,} more orphan runs are in summary.json."


def occurrence_words(batch: Batch, totals: Totals, zone: tzinfo) -> str:
    """What a batch is for, how it ended and what was asked for, in a line."""
    parts: list[str] = [batch.id]
    if batch.occurrence is not None:
        parts.append(f"for {at_minute(batch.occurrence, zone)}")
    if batch.exit_code is not None:
        parts.append(f"exit code {batch.exit_code}")
    caller = totals.calls[0].caller if totals.calls else ""
    parts.append(f"triggered by {batch.triggered_by.value}" + (f" ({caller})" if caller else ""))
    parts.append(f"spec {PurePath(batch.plan.spec_path).name}")
    parts += (f"{name}={value}" for name, value in batch.plan.params.items())
    choice = batch.plan.choice
    parts += [f"select {choice.select}"] if choice.select else []
    parts += [f"exclude {choice.exclude}"] if choice.exclude else []
    parts += [f"the first {choice.limit:,} jobs"] if choice.limit else []
    return " · ".join(parts)


def footer_words(now: datetime, zone: tzinfo) -> str:
    """When a page was written."""
    return f"Written {at_second(now, zone)} ({zone_words(now, zone)})"
