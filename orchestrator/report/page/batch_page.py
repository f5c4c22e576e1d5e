"""All that the page of a batch shows, collected in one walk through its jobs. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
from urllib.parse import quote

from orchestrator.ledger.records import ListedJob
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch
from orchestrator.model.ids import JobKey, RunId
from orchestrator.model.money import money
from orchestrator.model.progress import Progress
from orchestrator.report.console_urls import run_url
from orchestrator.report.failure_lines import retry_command
from orchestrator.report.failures import Failures
from orchestrator.report.lines import clock
from orchestrator.report.page.breakdown import Breakdown, GroupTable
from orchestrator.report.page.comparison import (
    BatchFigures,
    Comparison,
    Usual,
    UsualByKey,
    compare,
    figures_of,
    job_marks,
    usual_of,
)
from orchestrator.report.page.job_rows import NEAR_CAP, JobTable, shown_job
from orchestrator.report.page.outcome import OutcomeView, outcome_view
from orchestrator.report.page.timeline import Timeline, TimelineView
from orchestrator.report.page.zone_times import at_minute


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """
    What is known of a batch besides its jobs.

    Attributes:
        zone: for times.
        is_held: whether a process runs the batch now.
        progress: as that process has recorded it; None when none runs it.
        folder: as commands name it.
        past: earlier batches of the series, the oldest first.
        usual: what the jobs took and made in the batch before.
        failures: by their causes, the largest group first.
        job_pages: what the address of the page of a job begins with; empty in a file, where the
            folder of a job stands for it.
        problems: what could not be read, in sentences.
    """

    batch: Batch
    totals: Totals
    zone: tzinfo
    now: datetime
    is_held: bool = False
    progress: Progress | None = None
    folder: str
    past: Sequence[BatchFigures] = ()
    usual: UsualByKey = field(default_factory=dict[str, Usual])
    failures: Sequence[Failures] = ()
    problems: Sequence[str] = ()
    job_pages: str = ""


class BatchPage:
    """
    The content of a page.

    Args:
        errors: see `JobTable`.
        selection: words for the page when it has only some of the jobs; empty when it has all.

    Attributes:
        table: the rows of the jobs.
    """

    def __init__(
        self, facts: PageFacts, errors: dict[str, int] | None = None, selection: str = ""
    ) -> None:
        self.facts = facts
        self.selection = selection
        self.table = JobTable(facts.batch, errors)
        self._timeline, self._breakdown = Timeline(), Breakdown()
        self._near_cap = {run.key for run in facts.totals.near_cap}

    def add(self, listed: ListedJob) -> None:
        """Adds a job; the caller adds all in the order of the spec."""
        job = shown_job(self.facts.batch, listed)
        usual = self.facts.usual
        flags = job_marks(job, usual_of(usual, listed.key)) if usual else 0
        if listed.key in self._near_cap:
            flags |= NEAR_CAP
        self.table.add(job, flags)
        self._breakdown.add(job)
        for attempt in listed.attempts:
            self._timeline.add(attempt, self.facts.now)

    @property
    def outcome(self) -> OutcomeView:
        """What happened."""
        facts = self.facts
        return outcome_view(
            facts.batch,
            facts.totals,
            zone=facts.zone,
            now=facts.now,
            progress=facts.progress,
            is_held=facts.is_held,
            folder=facts.folder,
        )

    @property
    def comparison(self) -> Comparison | None:
        """This batch against earlier ones."""
        facts = self.facts
        return compare(figures_of(facts.batch, facts.totals), facts.past)

    @property
    def timeline(self) -> TimelineView | None:
        """When its runs ran."""
        batch = self.facts.batch
        return self._timeline.view(
            self.facts.zone,
            max_runs=batch.max_runs or batch.plan.max_runs,
            max_memory_mbytes=batch.max_memory_mbytes or batch.plan.max_memory_mbytes,
        )

    @property
    def breakdown(self) -> list[GroupTable]:
        """Where time and money went."""
        return self._breakdown.tables()

    @property
    def console(self) -> str:
        """What the address of a run begins with; empty where runs have none."""
        return self.run_address(RunId("")) or ""

    @property
    def retry(self) -> str:
        """The command that runs the failed jobs again; empty for foreign runs."""
        is_foreign = self.facts.batch.series.is_of_foreign_runs
        return "" if is_foreign else retry_command(self.facts.folder)

    def run_address(self, run_id: RunId | None) -> str | None:
        """The address of a run for people; None where it has none."""
        return run_url(self.facts.batch, None if run_id is None else RunId(quote(run_id, safe="")))

    def address(self, key: JobKey) -> str:
        """The address of a job: its page, or its folder."""
        name = quote(key, safe="")
        return f"{self.facts.job_pages}{name}" if self.facts.job_pages else f"jobs/{name}/"

    @staticmethod
    def money(cost_usd: Decimal) -> str:
        """Money for people."""
        return money(cost_usd)

    @staticmethod
    def clock(secs: float | None) -> str:
        """A duration for people; nothing where it is not known."""
        return "" if secs is None else clock(secs)

    def time(self, at: datetime) -> str:
        """A time in the zone of the batch."""
        return at_minute(at, self.facts.zone)
