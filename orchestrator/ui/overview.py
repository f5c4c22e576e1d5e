"""The first page: all batch names with their newest batch and their history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from orchestrator.app.history.recent_batches import NameHistory, RecentBatch
from orchestrator.model.money import money
from orchestrator.model.zones import zone_of
from orchestrator.report.lines import clock
from orchestrator.report.page.comparison import Comparison, compare
from orchestrator.report.page.document import section
from orchestrator.report.page.outcome import headline
from orchestrator.report.page.zone_times import at_minute


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLine:
    """A batch in the list of its name."""

    address: str
    id: str
    began: str
    tone: str
    headline: str
    items: str
    cost: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NameView:
    """
    A name on the page.

    Attributes:
        latest: the newest batch; None when none of the name can be read.
        comparison: of the newest batch with those of its series; None without earlier ones.
    """

    name: str
    latest: BatchLine | None
    comparison: Comparison | None
    lines: Sequence[BatchLine]
    problems: Sequence[str]


def overview_section(histories: Sequence[NameHistory], output: str) -> str:
    """The content of the page as HTML."""
    return section("overview", names=[_view(one) for one in histories], output=output)


def batch_address(name: str, batch_id: str) -> str:
    """The address of the page of a batch."""
    return f"/batches/{quote(name, safe='')}/{quote(batch_id, safe='')}"


def _view(history: NameHistory) -> NameView:
    lines = [_line(history.name, one) for one in history.batches]
    comparison = None
    if history.batches:
        newest = history.batches[0].figures
        series = newest.batch.series
        earlier = [
            one.figures
            for one in reversed(history.batches[1:])
            if series.agrees(one.figures.batch.series)
        ]
        comparison = compare(newest, earlier)
    return NameView(
        name=history.name,
        latest=lines[0] if lines else None,
        comparison=comparison,
        lines=lines,
        problems=history.problems,
    )


def _line(name: str, recent: RecentBatch) -> BatchLine:
    figures = recent.figures
    tone, words = headline(figures.batch, figures.jobs, is_held=recent.is_held)
    return BatchLine(
        address=batch_address(name, recent.folder.name),
        id=recent.folder.name,
        began=at_minute(figures.began_at, zone_of(figures.batch)),
        tone=tone,
        headline=words,
        items=f"{figures.items:,}",
        cost=money(figures.cost_usd),
        time="" if figures.secs is None else clock(figures.secs),
    )
