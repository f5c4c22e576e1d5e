"""
The live view of a batch on a terminal, as lines that fit its width and height. No I/O, no clock.

No line is wrapped. What does not fit is shortened in its middle, with a visible mark, because both
ends of a key, an id or a path say which one it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from orchestrator.model.money import money
from orchestrator.model.progress import FailedJob, LiveRun, Progress
from orchestrator.report.lines import rate, size, words_left
from orchestrator.safe_text import one_line

MOST_RUNS = 12
MOST_FAILURES = 5
WIDEST_BAR = 100
LATE_FACTOR = 1.5
"""A run is marked as late when it takes this many times the usual duration."""

FEWEST_CELLS = 4
LONGEST_TEXT = 400
OF_A_RUN = re.compile(r"^run \w+ ")
"""What an error begins with that names its run; the line names the job."""

MIN_TARGET_WIDTH = 100
"""From this width on, each run is shown with what it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """
    What the view is drawn with.

    Attributes:
        succeeded, failed, running, waiting: a cell of the bar.
        cut: stands where a text was shortened.
        dot: separates figures.
        encoding: of the terminal; what it cannot show is written as an escape.
    """

    succeeded: str = "█"
    failed: str = "▓"
    running: str = "▒"
    waiting: str = "░"
    cut: str = "…"
    dot: str = " · "
    encoding: str = "utf-8"


COLOURED = Symbols()
UNCOLOURED = Symbols(failed="x")
"""Without colours, the shares of the bar differ by their shapes alone."""


def ascii_symbols(encoding: str) -> Symbols:
    """The symbols for a terminal that is not known to show UTF-8."""
    return Symbols(
        succeeded="#",
        failed="x",
        running=">",
        waiting=".",
        cut="...",
        dot=", ",
        encoding=encoding,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """The size of a terminal in cells, and what it can show."""

    width: int
    height: int
    symbols: Symbols = COLOURED


def progress_lines(
    progress: Progress, now: datetime, screen: Screen, *, name: str, batch_id: str, folder: str
) -> list[Text]:
    """
    The view of a batch: at most as many lines as the screen has, each at most as wide.

    Args:
        folder: of the batch, as a path for people.
    """
    view = _View(progress, now, screen)
    top = [
        *view.title(name, batch_id, folder),
        view.bar(),
        *view.figures(),
        *view.limit(),
    ]
    left = screen.height - len(top)
    failures = view.failures(min(MOST_FAILURES, max(1, left // 3)))
    runs = view.runs(min(MOST_RUNS, left - len(failures) - 1))
    return [*top, *runs, *failures][: max(1, screen.height)]


class _View:
    def __init__(self, progress: Progress, now: datetime, screen: Screen) -> None:
        self._progress = progress
        self._now = now
        self._width = max(1, screen.width)
        self._symbols = screen.symbols

    def title(self, name: str, batch_id: str, folder: str) -> Iterator[Text]:
        """The name and the id of the batch, and its folder."""
        head = Text()
        head.append(self._shown(name), "bold").append(f" {self._shown(batch_id)}")
        path = self._shown(folder)
        if head.cell_len + 2 + cell_len(path) <= self._width:
            yield head.append("  ").append(path, "dim")
            return
        if head.cell_len <= self._width:
            yield head
        else:
            yield Text(self._cut(self._shown(name), self._width), "bold")
            yield Text(self._cut(self._shown(batch_id), self._width))
        yield Text(self._cut(path, self._width), "dim")

    def bar(self) -> Text:
        """The shares of the jobs that succeeded, failed, and are in progress."""
        progress, symbols = self._progress, self._symbols
        share = f" {progress.done:,}/{progress.total:,}"
        percent = f" {100 * progress.done // max(1, progress.total)}%"
        tail = share + percent if self._width >= len(share + percent) + 10 else percent
        cells = min(WIDEST_BAR, max(1, self._width - len(tail)))
        busy = progress.running + progress.collecting
        widths = shares([progress.succeeded, progress.failed, busy], progress.total, cells)
        bar = Text()
        bar.append(symbols.succeeded * widths[0], "green")
        bar.append(symbols.failed * widths[1], "red")
        bar.append(symbols.running * widths[2], "cyan")
        bar.append(symbols.waiting * (cells - sum(widths)), "dim")
        return bar.append(tail) if bar.cell_len + len(tail) <= self._width else bar

    def figures(self) -> Iterator[Text]:
        """What is done and in progress; the time; what was collected and paid."""
        progress = self._progress
        counts = [
            Text(f"{progress.succeeded:,} succeeded", "green" if progress.succeeded else "dim"),
            Text(f"{progress.failed:,} failed", "red" if progress.failed else "dim"),
            Text(f"{progress.running:,} running", "cyan" if progress.running else "dim"),
            *self._if(progress.collecting, f"{progress.collecting:,} collecting"),
            *self._if(progress.waiting, f"{progress.waiting:,} waiting"),
        ]
        cost = money(progress.cost_usd)
        if progress.max_cost_usd is not None:
            cost += f" of {money(progress.max_cost_usd)}"
        time = [
            Text(f"{age(progress.elapsed_secs(self._now))} elapsed"),
            *self._if(words := words_left(progress, self._now), words, "bold"),
            *self._if(per_minute := progress.per_minute(self._now), rate(per_minute or 0.0)),
        ]
        results = [
            Text(f"{progress.items:,} items"),
            *self._if(progress.size_bytes, size(progress.size_bytes)),
            Text(cost),
        ]
        yield from self._flow(counts)
        yield from self._flow([*time, *results])

    def limit(self) -> Iterator[Text]:
        """Why nothing more is started, or what most of the waiting jobs wait for."""
        progress = self._progress
        if progress.stopping:
            yield Text(self._fit(f"stopping: {progress.stopping}"), "bold yellow")
        elif progress.limit and progress.limited:
            jobs = "1 job waits" if progress.limited == 1 else f"{progress.limited:,} jobs wait"
            yield Text(self._fit(f"{jobs}: {progress.limit}"), "dim")

    def runs(self, most: int) -> list[Text]:
        """The runs in progress, with their age against what is usual."""
        progress = self._progress
        if not progress.live or most < 1:
            return []
        shown = progress.live[:most]
        columns = _columns(self._width)
        rows = [self._row(("running", "age", "usual", "", "Actor or task"), columns, "bold")]
        rows += [self._run(run, columns) for run in shown]
        more = progress.running - len(shown)
        if more > 0 and len(shown) > 1 and len(rows) > most:
            # The last row gives way to the number of all that are not shown.
            rows[-1] = Text(self._fit(f"and {more + 1:,} more"), "dim")
        return rows

    def failures(self, most: int) -> list[Text]:
        """The latest failures, the newest first; those of one cause share a line."""
        failures = self._progress.failures[:most]
        if not failures:
            return []
        return [Text(self._fit("latest failures"), "bold"), *map(self._failure, failures)]

    def _failure(self, job: FailedJob) -> Text:
        line = Text(self._cut(self._shown(job.key), max(8, self._width // 3)))
        if job.alike > 1:
            line.append(f" and {job.alike - 1:,} more")
        words = OF_A_RUN.sub("", self._shown(job.error))
        if not words.startswith(job.status):
            words = f"{job.status} {words}".rstrip()
        left = self._width - line.cell_len - 2
        if left >= FEWEST_CELLS:
            line.append("  ").append(self._end_cut(words, left), "red")
        return self._whole(line)

    def _run(self, run: LiveRun, columns: Columns) -> Text:
        age_secs, usual_secs = run.age_secs(self._now), run.usual_secs
        usual = factor = ""
        if usual_secs is not None:
            usual, times = age(usual_secs), age_secs / max(1.0, usual_secs)
            if times >= LATE_FACTOR:
                factor = f"{times:.1f}x" if times < 10 else f"{times:.0f}x"
        style = "yellow" if factor or run.is_straggler else ""
        return self._row((run.key, age(age_secs), usual, factor, run.target), columns, style)

    def _row(self, values: Sequence[str], columns: Columns, style: str) -> Text:
        """A line of the table: the key, its age, what is usual, how many times, what is run."""
        key, *numbers, target = values
        cut = self._cut(self._shown(key), columns.key)
        row = Text(set_cell_size(cut, columns.key), style)
        for number, width in zip(numbers, columns.numbers, strict=True):
            if width:
                row.append(f"{number:>{width}}")
        if columns.target:
            row.append("  ").append(self._cut(self._shown(target), columns.target - 2))
        row.rstrip()
        return self._whole(row)

    def _flow(self, parts: Sequence[Text]) -> Iterator[Text]:
        """The parts on as few lines as the width allows; none is broken if it fits on a line."""
        dot, line = self._symbols.dot, Text()
        for part in parts:
            if line.cell_len and line.cell_len + len(dot) + part.cell_len > self._width:
                yield self._whole(line)
                line = Text()
            if line.cell_len:
                line.append(dot, "dim")
            line.append_text(part)
        yield self._whole(line)

    def _if(self, holds: object, words: str, style: str = "") -> Iterable[Text]:
        return [Text(words, style)] if holds else []

    def _shown(self, text: str) -> str:
        """A foreign text on one line, in what the terminal can show."""
        encoding = self._symbols.encoding
        return one_line(text, LONGEST_TEXT).encode(encoding, "backslashreplace").decode(encoding)

    def _fit(self, text: str) -> str:
        return self._end_cut(self._shown(text), self._width)

    def _cut(self, text: str, width: int) -> str:
        return shortened(text, width, self._symbols.cut)

    def _end_cut(self, text: str, width: int) -> str:
        """A sentence, whose beginning says the most."""
        if cell_len(text) <= width:
            return text
        cut = self._symbols.cut[:width]
        return _cells(text, width - len(cut)) + cut

    def _whole(self, line: Text) -> Text:
        """The line, cut off where a narrow terminal ends."""
        if line.cell_len > self._width:
            line.truncate(self._width, overflow="crop")
        return line


def shortened(text: str, width: int, cut: str = "…") -> str:
    """A text of at most `width` cells; what is left out of its middle is marked by `cut`."""
    if cell_len(text) <= width:
        return text
    if width < len(cut) + 2:
        return _cells(text, width - 1) + cut[:1] if width > 1 else cut[:width]
    room = width - len(cut)
    head = _cells(text, ceil(room / 2))
    tail = _cells(text[::-1], room - cell_len(head))[::-1]
    return head + cut + tail


def shares(counts: Sequence[int], total: int, cells: int) -> list[int]:
    """
    How many of the cells of a bar each count gets.

    A count above 0 gets a cell, also if its share is smaller; together they get at most all cells.
    """
    widths = [max(int(count > 0), int(cells * count / total)) if total else 0 for count in counts]
    while sum(widths) > cells:
        widths[widths.index(max(widths))] -= 1
    if total and sum(counts) >= total and sum(widths):
        # All jobs are counted, so the bar is full.
        widths[widths.index(max(widths))] += cells - sum(widths)
    return widths


def age(secs: float) -> str:
    """An age for people: `0:07`, `12:31`, `26:03:59`."""
    minutes, seconds = divmod(round(secs), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@dataclass(frozen=True, slots=True)
class Columns:
    """
    The widths of the columns of a table of runs; 0 leaves one out.

    Attributes:
        numbers: age, usual duration, and how many times that the age is.
    """

    key: int
    numbers: tuple[int, int, int]
    target: int


def _columns(width: int) -> Columns:
    numbers = (9, 9, 6) if width >= 48 else (8, 8, 0) if width >= 32 else (8, 0, 0)
    if width < 16:
        numbers = (0, 0, 0)
    left = width - sum(numbers)
    target = min(60, left // 3) if width >= MIN_TARGET_WIDTH else 0
    return Columns(min(60, left - target), numbers, target)


def _cells(text: str, width: int) -> str:
    """The beginning of a text that fits into a width."""
    taken = 0
    for place, letter in enumerate(text):
        taken += cell_len(letter)
        if taken > width:
            return text[:place]
    return text
