"""The failures of a batch as text for people, and as fields for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import JsonValue

from orchestrator.ledger.statistics import SweepTotals
from orchestrator.model.batches import Batch
from orchestrator.pasted_command import pasted_command
from orchestrator.report.console_urls import run_url
from orchestrator.report.failures import Failures
from orchestrator.safe_text import plain

MOST_GROUPS = 10
COMPARED = 200
"""How much of a message is looked for in a line of a log."""


def failure_lines(
    batch: Batch,
    groups: Sequence[Failures],
    folder: str,
    *,
    most: int = MOST_GROUPS,
    is_held: bool = False,
) -> list[str]:
    """
    A block for each group of failures, then the command that runs those jobs again.

    Args:
        groups: all of the batch.
        folder: of the batch, as a command takes it.
        most: how many blocks there are at most; one line counts the other groups.
        is_held: whether a process runs the batch: then no other command can work on it.
    """
    if not groups:
        return []
    lines = [plain(line) for group in groups[:most] for line in _block(batch, group)]
    others = groups[most:]
    if others:
        jobs = sum(group.jobs for group in others)
        lines.append(
            f"… and {count(jobs, 'job')} with {count(len(others), 'other cause')}: "
            f"{pasted_command('status', folder, '--json')} lists them"
        )
    # The inputs of foreign runs are not known, so `retry` refuses.
    if not is_held and not batch.series.is_of_foreign_runs:
        lines.append(f"run failed jobs again: {retry_command(folder)}")
    return lines


def retry_command(folder: str) -> str:
    """The command that runs the failed jobs of a batch again."""
    return pasted_command("retry", folder)


def sweep_lines(sweeps: Iterable[SweepTotals]) -> Iterator[str]:
    """A line for each reason why items of jobs that succeeded are not jobs of their own."""
    for sweep in sweeps:
        if sweep.failed:
            jobs = count(sweep.failed, "job")
            yield plain(f"{sweep.name}: the items of {jobs} are missing, until a retry succeeds")
        if sweep.left_out:
            items = "1 item gives" if sweep.left_out == 1 else f"{sweep.left_out:,} items give"
            yield plain(f"{sweep.name}: {items} no job: {sweep.problem}")


def failure_fields(batch: Batch, groups: Sequence[Failures]) -> list[JsonValue]:
    """The groups as JSON."""
    return [
        {
            "jobs": group.jobs,
            "status": group.status.value,
            group.target.kind.value: group.target.id,
            "exit_code": group.exit_code,
            "message": plain(group.message),
            "example": group.example,
            "attempts": group.attempts,
            "run_id": group.run_id,
            "console_url": run_url(batch, group.run_id),
            "log_end": [plain(line) for line in group.log_end],
            "traceback_end": None if group.traceback_end is None else plain(group.traceback_end),
        }
        for group in groups
    ]


def count(number: int, noun: str) -> str:
    """A number with its noun, such as `1 job` and `2,000 jobs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _block(batch: Batch, group: Failures) -> Iterator[str]:
    code = "" if group.exit_code is None else f", exit code {group.exit_code}"
    yield f"{count(group.jobs, 'job')} {group.status}: {group.target}{code}"
    if group.message:
        yield f"    {group.message}"
    if group.traceback_end is not None:
        yield f"    {group.traceback_end}"
    else:
        # An Actor often writes its last message into its log, too.
        # Long lines are shortened, so only the beginning of the message is in them.
        told = group.message[:COMPARED]
        lines = (line for line in group.log_end if not told or told not in line)
        yield from (f"    log: {line}" for line in lines)
    label = "example" if group.jobs > 1 else "job"
    tries = f" ({group.attempts} attempts)" if group.attempts > 1 else ""
    yield f"    {label}: {group.example}{tries}"
    url = run_url(batch, group.run_id)
    if url is not None:
        # On a line of its own, so that narrow terminals do not break it.
        yield f"    {url}"
