"""When the runs of a batch ran: lanes, and how many runs and how much memory at once. No I/O."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from heapq import heappop, heappush, merge

from orchestrator.ledger.records import ListedAttempt
from orchestrator.model.states import JobStatus
from orchestrator.report.page import svg
from orchestrator.report.page.zone_times import at_day_and_hour, at_hour

COLUMNS = 500
"""How many steps the curves have."""
MOST_LANES = 128
HIGHEST_LANES = 360
MOST_BARS = 20_000
SORTED_AT_ONCE = 4096
"""So many runs are a list for a moment, which takes ten times as much memory as an array."""
TICKS = 5
DAY_SECS = 86_400
TONES = ("good", "bad", "going")
GOOD, BAD, GOING = range(len(TONES))
SUCCEEDED = JobStatus.SUCCEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A figure over time, with its highest value and its limit; None for no known limit."""

    chart: str
    peak: int
    limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineView:
    """What the page shows of the times of runs; `lanes` is None with too many runs at once."""

    runs: int
    ticks: Sequence[str]
    concurrency: Curve
    memory: Curve | None
    lanes: str | None
    most: int = MOST_LANES


class Timeline:
    """Collects the runs of a batch, in little memory."""

    def __init__(self) -> None:
        self._starts, self._ends = array("d"), array("d")
        self._memory, self._tones = array("q"), bytearray()
        self._by_start, self._by_end = array("I"), array("I")

    def add(self, attempt: ListedAttempt, now: datetime) -> None:
        """Adds the run of an attempt; one in progress lasts until now."""
        if attempt.started_at is None or attempt.reused_from is not None:
            return
        # A resurrected run keeps its first start, but the attempt before has drawn that part.
        start = (attempt.resurrected_at or attempt.started_at).timestamp()
        end = (attempt.finished_at or (now if attempt.is_open else attempt.started_at)).timestamp()
        self._starts.append(start)
        self._ends.append(max(start, end))
        self._memory.append(attempt.memory_mbytes or 0)
        self._tones.append(_tone_of(attempt))

    def view(
        self, zone: tzinfo, *, max_runs: int | None, max_memory_mbytes: int | None
    ) -> TimelineView | None:
        """What to show; None without runs."""
        if not self._starts:
            return None
        begin, end = min(self._starts), max(self._ends)
        self._by_start, self._by_end = _order(self._starts), _order(self._ends)
        span = max(end - begin, 1.0)
        lanes, used = self._lanes()
        counts, memory = self._levels(begin, span)
        most_memory = max(memory)
        words = at_hour if span < DAY_SECS else at_day_and_hour
        times = (begin + span * tick / (TICKS - 1) for tick in range(TICKS))
        return TimelineView(
            runs=len(self._starts),
            ticks=[words(datetime.fromtimestamp(at, UTC), zone) for at in times],
            concurrency=Curve(
                chart=svg.steps(counts, limit=max_runs), peak=max(counts), limit=max_runs
            ),
            memory=Curve(
                chart=svg.steps(memory, limit=max_memory_mbytes),
                peak=most_memory,
                limit=max_memory_mbytes,
            )
            if most_memory
            else None,
            lanes=None if used > MOST_LANES else self._drawn(lanes, used, begin, span),
        )

    def _levels(self, begin: float, span: float) -> tuple[list[int], list[int]]:
        """The most runs, and the most memory, at once in each column."""
        counts, memory = [0] * COLUMNS, [0] * COLUMNS
        count = held = column = 0
        for at, place, change in self._events():
            reached = int((at - begin) / span * COLUMNS)
            if reached >= COLUMNS:
                reached = COLUMNS - 1
            if reached > column:
                # The levels hold until this event, through all columns between.
                counts[column + 1 : reached + 1] = [count] * (reached - column)
                memory[column + 1 : reached + 1] = [held] * (reached - column)
                column = reached
            count += change
            held += change * self._memory[place]
            if count > counts[column]:
                counts[column] = count
            if held > memory[column]:
                memory[column] = held
        return counts, memory

    def _events(self) -> Iterator[tuple[float, int, int]]:
        """Starts and ends in their order: the time, the place of the run, and 1 or -1."""
        starts, ends, by_end = self._starts, self._ends, self._by_end
        ended, runs = 0, len(ends)
        for place in self._by_start:
            at = starts[place]
            # At one instant, ends come first: their room is free for what begins then.
            while ended < runs and ends[by_end[ended]] <= at:
                yield ends[by_end[ended]], by_end[ended], -1
                ended += 1
            yield at, place, 1
        for place in by_end[ended:]:
            yield ends[place], place, -1

    def _lanes(self) -> tuple[bytearray, int]:
        """The lane of each run in the order of their starts; stops when there are too many."""
        busy: list[tuple[float, int]] = []
        free: list[int] = []
        lanes, used = bytearray(len(self._starts)), 0
        for place in self._by_start:
            if used > MOST_LANES:
                break
            while busy and busy[0][0] <= self._starts[place]:
                heappush(free, heappop(busy)[1])
            if free:
                lane = heappop(free)
            else:
                lane, used = used, used + 1
            lanes[place] = lane
            heappush(busy, (self._ends[place], lane))
        return lanes, used

    def _drawn(self, lanes: Sequence[int], used: int, begin: float, span: float) -> str:
        lane = max(3.0, min(12.0, HIGHEST_LANES / used))
        return svg.bars_by_tone(self._bars(lanes, used, begin, span), used, lane)

    def _bars(
        self, lanes: Sequence[int], used: int, begin: float, span: float
    ) -> Iterator[tuple[str, float, float, int]]:
        """The bars of all runs; neighbours of one tone that a screen cannot separate are one."""
        grain = max(0.8, used * svg.WIDTH / MOST_BARS)
        last: dict[int, tuple[int, float, float]] = {}
        for place in self._by_start:
            lane, tone = lanes[place], self._tones[place]
            x = (self._starts[place] - begin) / span * svg.WIDTH
            end = max((self._ends[place] - begin) / span * svg.WIDTH, x + grain)
            before = last.get(lane)
            if before is not None:
                if before[0] == tone and x - before[2] < grain and len(self._starts) > MOST_LANES:
                    last[lane] = (tone, before[1], end)
                    continue
                yield TONES[before[0]], before[1], before[2] - before[1], lane
                x = max(x, before[2])
            last[lane] = (tone, x, max(end, x))
        for lane, (tone, x, end) in last.items():
            yield TONES[tone], x, end - x, lane


def _order(times: array[float]) -> array[int]:
    """The places of times, the earliest first."""
    places = range(len(times))
    parts = (
        array("I", sorted(places[first : first + SORTED_AT_ONCE], key=times.__getitem__))
        for first in places[::SORTED_AT_ONCE]
    )
    return array("I", merge(*parts, key=times.__getitem__))


def _tone_of(attempt: ListedAttempt) -> int:
    # A run that has ended is drawn by its end while its results are still downloaded.
    if attempt.finished_at is None and attempt.is_open:
        return GOING
    said = attempt.run_status if attempt.outcome is None else attempt.outcome
    return GOOD if said == SUCCEEDED else BAD
