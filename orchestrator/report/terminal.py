"""Output for people on a terminal: the closing summary."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch
from orchestrator.model.money import money
from orchestrator.model.states import JobStatus
from orchestrator.report.lines import clock, size
from orchestrator.report.summary import cost_words, proven_jobs, shown_statuses, times

WIDE = 200
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
        for name, secs in times(batch, totals).items():
            table.add_row(name, clock(secs))
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
