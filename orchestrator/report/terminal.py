"""Output for people on a terminal: the closing summary and the list of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch
from orchestrator.model.money import money
from orchestrator.model.states import FAILED_JOB_STATUSES, SETTLED_JOB_STATUSES, JobStatus
from orchestrator.report.lines import clock, size
from orchestrator.report.summary import cost_words, proven_jobs, shown_statuses

WIDE = 200
SERIES_SHOWN = 6
COLOURS = {
    JobStatus.SUCCEEDED: "green",
    JobStatus.FAILED: "red",
    JobStatus.TIMED_OUT: "red",
    JobStatus.ABORTED: "red",
    JobStatus.REJECTED: "red",
    JobStatus.SKIPPED: "yellow",
    JobStatus.NOT_STARTED: "yellow",
    JobStatus.RUNNING: "cyan",
    JobStatus.WAITING: "dim",
}


def summary_table(batch: Batch, totals: Totals) -> RenderableType:
    """The closing table: name and id of the batch, jobs by status, then the figures."""
    # Not as the title of the table, which would wrap the id at the width of the table.
    title = Text(f"{batch.name} {batch.id}", style="italic", no_wrap=True)
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for status, jobs in shown_statuses(batch, totals).items():
        table.add_row(Text(status.value, style=COLOURS[status]), f"{jobs:,}")
    table.add_section()
    table.add_row("items", f"{totals.items:,}")
    table.add_row("size", size(totals.size_bytes))
    jobs_total = sum(totals.jobs.values())
    if totals.unproven:
        table.add_row("proven complete", f"{proven_jobs(totals):,} of {jobs_total:,}")
    table.add_row("runs", f"{totals.runs:,}")
    table.add_row(cost_words(totals), _cost(totals))
    table.add_row("requests", f"{batch.requests:,}")
    if batch.ended_at is not None:
        table.add_row("time", clock((batch.ended_at - batch.created_at).total_seconds()))
    return Group(title, table)


def _cost(totals: Totals) -> str:
    cost = money(totals.cost_usd)
    if not totals.paid_again_usd:
        return cost
    return f"{cost} (paid again: {money(totals.paid_again_usd)})"


def print_table(table: RenderableType, *, to_stderr: bool = False) -> None:
    """Prints a table; as plain text if the stream is not a terminal."""
    console = Console(stderr=to_stderr, highlight=False)
    if not console.is_terminal:
        # A file or a pipe gets all columns, also if they are wider than a terminal.
        console.width = WIDE
    console.print(table)


def batches_table(summaries: Sequence[Mapping[str, Any]]) -> Table:
    """A row per batch, from their summaries with `folder` and `is_held` added."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("batch")
    table.add_column("id", no_wrap=True)
    table.add_column("occurrence", no_wrap=True)
    table.add_column("series", no_wrap=True)
    table.add_column("triggered by", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("jobs", "done", "failed", "items", "cost"):
        table.add_column(name, justify="right")
    for summary in summaries:
        jobs = summary["jobs"]
        table.add_row(
            Text(summary["batch"]),
            summary["id"],
            (summary["occurrence"] or "")[:16].replace("T", " "),
            summary["series"][:SERIES_SHOWN],
            summary["triggered_by"],
            "running" if summary["is_held"] else summary["state"],
            f"{summary['jobs_total']:,}",
            f"{sum(jobs[status] for status in SETTLED_JOB_STATUSES):,}",
            f"{sum(jobs[status] for status in FAILED_JOB_STATUSES):,}",
            f"{summary['items']:,}",
            money(Decimal(str(summary["cost_usd"]))),
        )
    return table
