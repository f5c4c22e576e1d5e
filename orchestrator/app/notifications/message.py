"""The words of a notification: what happened, and what to do."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.notifications.news import Ending
from orchestrator.errors import OrchestratorError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch
from orchestrator.model.money import money
from orchestrator.model.states import FAILED_JOB_STATUSES, JobStatus
from orchestrator.model.zones import zone_of
from orchestrator.pasted_command import pasted_command
from orchestrator.report.failure_lines import failure_lines, sweep_lines
from orchestrator.report.failures import group_failures
from orchestrator.report.summary import cost_words, shown_statuses
from orchestrator.safe_text import one_line, plain

SHOWN_CHANGES = 5
SHOWN_CAUSES = 5
SHOWN_LINES = 12
LONGEST_TITLE = 200
LONGEST_LINE = 500

BY_CODE: Mapping[int, str] = {
    1: "see the warnings in {folder}/log.jsonl. To merge and upload the results again: {collect}",
    2: "correct what the message names, then start it again",
    3: "remove the reason, then resume it: {resume}",
    5: "check the token and the connection with `orchestrator doctor`. The next `run --resume` "
    "resumes the batch; to resume it now: {resume}",
    70: "report this bug with the traceback of log.jsonl. The batch can be resumed: {resume}",
}
OF_CALLS: Mapping[int, str] = {
    2: "correct what the message names, then start it again",
    3: "remove the reason, then start it again",
    5: "check the token and the connection with `orchestrator doctor`",
}
"""What to do after a call that ended with an error."""
OTHERWISE = "see stderr of the call; the next `run --resume` starts or resumes the batch"
INTERRUPTED = "the next `run --resume` resumes it; to resume it now: {resume}"
BY_KIND: Mapping[str, str] = {
    "OutputLost": "make {folder} writable again, and resume the batch. If it is gone, start a new "
    "batch",
    "BudgetExhausted": "raise max_cost_usd in the spec, then continue: {resume} --accept-changes",
    "TooManyJobs": "raise max_jobs in the spec, then continue: {resume} --accept-changes",
    "PlanExhausted": "raise the limit of the account in Apify Console, then continue: {resume}",
    "DiskFull": "free disk space; the next `run --resume` resumes the batch. To resume it now: "
    "{resume}",
    "NotAuthorized": "set a valid APIFY_TOKEN, and check it with `orchestrator doctor`. Then: "
    "{resume}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    A notification.

    Attributes:
        title: one line.
        body: plain text of several lines.
    """

    title: str
    body: str
    is_problem: bool


def message_of(
    folder: Path, batch: Batch, totals: Totals, ending: Ending, before: Ending | None
) -> Message:
    """
    The message about the end of a batch.

    Args:
        before: how the last batch of the series ended, to name what has changed; None to name
            nothing.
    """
    what = _what_happened(batch, totals, ending)
    lines = [
        f"batch {batch.id}{_occurrence(batch)}, on {socket.gethostname()}",
        _figures(totals, batch),
    ]
    if batch.stop_reason is not None:
        lines.append(f"stopped early: {batch.stop_reason}")
    causes = _failures(folder, batch) if ending.failed else []
    causes += sweep_lines(totals.sweeps)
    lines += causes
    if before is not None:
        lines += _changes(ending, before)
    # What to do about failed jobs and left-out items is said with them.
    advice = None if ending.exit_code == 1 and causes else _advice(ending, folder)
    if advice is not None:
        lines.append(f"what to do: {advice}")
    lines.append(f"report: {folder.absolute() / 'report.html'}")
    return _message(f"{batch.name}: {what}", lines, is_problem=ending.is_problem)


def message_of_failure(
    name: str, call: str, code: int, error: OrchestratorError | None, *, has_begun: bool
) -> Message:
    """The message about a call that ended with an error, in most cases before any batch began."""
    what = "an error ended the batch" if has_begun else "nothing was started"
    said = (
        "this is a bug of orchestrator; stderr has the traceback" if error is None else str(error)
    )
    lines = said.splitlines() or [type(error).__name__]
    if len(lines) > SHOWN_LINES:
        lines = [*lines[:SHOWN_LINES], f"… and {len(lines) - SHOWN_LINES} more lines"]
    advice = OF_CALLS.get(code, OTHERWISE)
    lines = [f"{call}, on {socket.gethostname()}", *lines, f"what to do: {advice}"]
    return _message(f"{name}: {what} (exit code {code})", lines, is_problem=True)


def message_of_given_up(folder: Path, batch: Batch) -> Message:
    """The message about an interrupted batch that no later call resumes."""
    lines = [
        f"batch {batch.id}{_occurrence(batch)}, on {socket.gethostname()}",
        "it was interrupted, and resumed for two later occurrences, which is the limit",
        f"what to do: {pasted_command('resume', folder.absolute())}",
    ]
    title = f"{batch.name}: an earlier batch is not resumed any more"
    return _message(title, lines, is_problem=True)


def _message(title: str, lines: Sequence[str], *, is_problem: bool) -> Message:
    body = "\n".join(map(_cut, lines))
    return Message(title=one_line(title, LONGEST_TITLE), body=plain(body), is_problem=is_problem)


def _cut(line: str) -> str:
    """A line of a reasonable length, with the spaces at its start."""
    text = line.lstrip()
    return line[: len(line) - len(text)] + one_line(text, LONGEST_LINE)


def _failures(folder: Path, batch: Batch) -> list[str]:
    """The failures by their causes, and the command that runs the failed jobs again."""
    try:
        with LedgerReader(folder / LEDGER) as reader:
            groups = group_failures(reader.failed_jobs())
    except (OrchestratorError, OSError) as error:
        return [f"the failures cannot be read: {error}"]
    return failure_lines(batch, groups, str(folder.absolute()), most=SHOWN_CAUSES)


def _what_happened(batch: Batch, totals: Totals, ending: Ending) -> str:
    total = sum(totals.jobs.values())
    failed = sum(totals.jobs.get(status, 0) for status in FAILED_JOB_STATUSES)
    match ending.exit_code:
        case 0:
            return f"{total:,} of {total:,} jobs succeeded"
        case 1 if failed:
            return f"{failed:,} of {total:,} jobs failed"
        case 1:
            return f"{total:,} of {total:,} jobs succeeded, but the batch is not whole"
        case 3:
            return f"stopped early after {total - _open(totals):,} of {total:,} jobs"
        case 5:
            return "the platform cannot be reached, or refuses the token"
        case 70:
            return "a bug of orchestrator ended the batch"
        case code if code > 128:
            return f"interrupted after {total - _open(totals):,} of {total:,} jobs"
        case code:
            return f"ended with exit code {code}: {batch.stop_reason or 'see the log'}"


def _open(totals: Totals) -> int:
    return sum(totals.jobs.get(one, 0) for one in (JobStatus.WAITING, JobStatus.RUNNING))


def _figures(totals: Totals, batch: Batch) -> str:
    jobs = (f"{count:,} {status}" for status, count in shown_statuses(batch, totals).items())
    cost = f"{cost_words(totals)} {money(totals.cost_usd)}"
    return ", ".join([*jobs, f"{totals.items:,} items", cost])


def _occurrence(batch: Batch) -> str:
    if batch.occurrence is None:
        return ""
    zone = zone_of(batch)
    named = "" if batch.plan.timezone is None else f" {zone}"
    return f", of {batch.occurrence.astimezone(zone):%Y-%m-%d %H:%M}{named}"


def _changes(now: Ending, before: Ending) -> Iterator[str]:
    for words, keys in (
        ("failed now, but not in the last batch", now.failed.keys() - before.failed.keys()),
        ("failed in the last batch, but not now", before.failed.keys() - now.failed.keys()),
    ):
        shown = sorted(keys)[:SHOWN_CHANGES]
        more = f" and {len(keys) - len(shown):,} more" if len(keys) > len(shown) else ""
        if shown:
            yield f"{words}: {', '.join(shown)}{more}"


def _advice(ending: Ending, folder: Path) -> str | None:
    """What to do about the end of a batch; None if there is nothing to do."""
    if ending.exit_code == 0:
        return None
    found = BY_KIND.get(ending.stop_kind or "") or BY_CODE.get(ending.exit_code, INTERRUPTED)
    place = folder.absolute()
    return found.format(
        folder=place,
        collect=pasted_command("collect", place),
        resume=pasted_command("resume", place),
    )
