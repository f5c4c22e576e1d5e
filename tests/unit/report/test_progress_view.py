from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from rich.cells import cell_len

from orchestrator.model.ids import JobKey, RunId
from orchestrator.model.progress import FailedJob, LiveRun, Progress
from orchestrator.model.states import JobStatus
from orchestrator.report.lines import rate, rounded, wrapped
from orchestrator.report.progress_view import (
    UNCOLOURED,
    Screen,
    Symbols,
    age,
    ascii_symbols,
    progress_lines,
    shares,
    shortened,
)
from tests.support.builders import NOON

BATCH_ID = "20261125T120000Z-abcdef"
WIDTHS = [20, 27, 36, 40, 59, 80, 100, 120, 200, 250]
HOSTILE = "a\x1b[2J\x07\u202e\nb\u0301\u200d" + "宽" * 30 + "👩‍🚀" + "<b>"


def make_live(seq: int, **fields: Any) -> LiveRun:
    """A run that began `seq` minutes before noon."""
    given: dict[str, Any] = {
        "key": JobKey(f"shop-{seq}"),
        "run_id": RunId(f"run{seq}"),
        "target": "me/actor",
        "since": NOON - timedelta(minutes=seq),
        **fields,
    }
    return LiveRun(**given)


def make_progress(**fields: Any) -> Progress:
    """A batch of 1,000 jobs after an hour."""
    given: dict[str, Any] = {
        "at": NOON,
        "began_at": NOON - timedelta(hours=1, seconds=5),
        "total": 1000,
        "settled": {JobStatus.SUCCEEDED: 388, JobStatus.FAILED: 20, JobStatus.TIMED_OUT: 4},
        "running": 24,
        "collecting": 6,
        "items": 12345,
        "size_bytes": 45_200_000,
        "cost_usd": Decimal("1.2345"),
        "max_cost_usd": Decimal(5),
        "lately": 33,
        "lately_from": NOON - timedelta(minutes=1),
        "limit": "24 of 24 runs are in progress",
        "limited": 558,
        "ends_at": NOON + timedelta(minutes=17, seconds=5),
        "live": tuple(make_live(24 - seq, usual_secs=300.0) for seq in range(24)),
        "failures": (
            FailedJob(
                key=JobKey("bad-0"),
                status=JobStatus.FAILED,
                error="run x0 FAILED with exit code 1: out of memory",
                alike=3,
            ),
        ),
        **fields,
    }
    return Progress(**given)


def view_of(
    progress: Progress, width: int, height: int = 24, symbols: Symbols = UNCOLOURED
) -> list[str]:
    """The view as plain text."""
    screen = Screen(width=width, height=height, symbols=symbols)
    folder = f"output/shops/{BATCH_ID}"
    lines = progress_lines(progress, NOON, screen, name="shops", batch_id=BATCH_ID, folder=folder)
    return [line.plain for line in lines]


def test_view_at_80_columns() -> None:
    """A person sees the state of the batch within ten seconds."""
    view = view_of(make_progress(running=3, live=tuple(map(make_live, (9, 2, 1)))), 80)
    assert view == [
        "shops 20261125T120000Z-abcdef  output/shops/20261125T120000Z-abcdef",
        "█████████████████████████x▒░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 412/1,000 41%",
        "388 succeeded · 24 failed · 3 running · 6 collecting · 579 waiting",
        "1:00:05 elapsed · about 18 min left · 33 jobs/min · 12,345 items · 45.2 MB",
        "$1.23 of $5.00",
        "558 jobs wait: 24 of 24 runs are in progress",
        "running                                                       age    usual",
        "shop-9                                                       9:00",
        "shop-2                                                       2:00",
        "shop-1                                                       1:00",
        "latest failures",
        "bad-0 and 2 more  FAILED with exit code 1: out of memory",
    ]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("height", [1, 4, 10, 24, 60])
def test_view_fits_every_terminal(width: int, height: int) -> None:
    """No line is wider than the terminal, so none is wrapped, and none is below its end."""
    view = view_of(make_progress(), width, height)
    assert 1 <= len(view) <= height
    assert max(map(cell_len, view)) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_ids_are_whole_or_visibly_shortened(width: int) -> None:
    """An id that does not fit keeps both of its ends, with a mark between them."""
    view = view_of(make_progress(), width)
    ids = [word for line in view[:3] for word in line.split() if word.startswith("2026")]
    assert ids
    for shown in ids:
        if shown != BATCH_ID:
            head, cut, tail = shown.partition("…")
            assert cut
            assert BATCH_ID.startswith(head)
            assert BATCH_ID.endswith(tail)


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_names_and_messages_keep_the_view_whole(width: int) -> None:
    """Escape sequences, line breaks and wide letters of an Actor change no other line."""
    progress = make_progress(
        live=(make_live(1, key=JobKey(HOSTILE), target=HOSTILE),),
        failures=(FailedJob(key=JobKey(HOSTILE), status=JobStatus.FAILED, error=HOSTILE * 50),),
        limit=HOSTILE,
    )
    view = view_of(progress, width)
    assert max(map(cell_len, view)) <= width
    assert all(line.isprintable() for line in view)


def test_terminal_without_utf_8_gets_ascii() -> None:
    """A locale without UTF-8 gets other symbols, and escapes for the letters that it lacks."""
    progress = make_progress(live=(make_live(1, key=JobKey("köln-" + "x" * 60)),))
    view = view_of(progress, 60, symbols=ascii_symbols("ascii"))
    assert all(line.isascii() for line in view)
    assert view[2].startswith("####")
    assert any(line.startswith("k\\xf6ln-") and "..." in line for line in view)


def test_late_run_is_marked_without_colours() -> None:
    """The figure shows how many usual durations a run takes, not only a colour."""
    view = view_of(make_progress(live=(make_live(9, usual_secs=60.0),)), 80)
    assert view[7].split() == ["shop-9", "9:00", "1:00", "9.0x"]


def test_runs_without_a_row_are_counted() -> None:
    """A table that is cut shows how many runs it omits."""
    view = view_of(make_progress(), 80, height=14)
    rows = [line for line in view if line.startswith("shop-")]
    assert f"and {24 - len(rows)} more" in view


def test_wide_terminals_show_the_actor_of_each_run() -> None:
    """From 100 columns on there is room for the Actor or task."""
    assert "me/actor" in view_of(make_progress(), 100)[7]
    assert "me/actor" not in view_of(make_progress(), 99)[7]


def test_bar_shows_each_kind_of_job() -> None:
    """One failed job of ten thousand has a cell, and a finished batch has no gap."""
    assert shares([9_998, 1, 1], 10_000, 40) == [38, 1, 1]
    assert shares([2, 1, 0], 3, 10) == [7, 3, 0]
    assert shares([0, 0, 0], 0, 10) == [0, 0, 0]
    assert shares([1, 1, 1], 3, 2) == [0, 1, 1]


def test_text_is_shortened_in_its_middle() -> None:
    """Both ends of a key show which one it is."""
    assert shortened("shop-2026-page-17", 11) == "shop-…ge-17"
    assert cell_len(shortened("宽" * 20, 9)) <= 9
    assert shortened("shop", 4) == "shop"


def test_times_and_rates_suit_their_size() -> None:
    """A reader needs no arithmetic."""
    assert [age(secs) for secs in (7, 751, 93_839)] == ["0:07", "12:31", "26:03:59"]
    assert [rounded(secs) for secs in (11, 100, 3601, 5401)] == [
        "20 s",
        "2 min",
        "61 min",
        "1 h 40 min",
    ]
    assert [rate(per_minute) for per_minute in (600.0, 33.2, 5.04, 0.1)] == [
        "10 jobs/s",
        "33 jobs/min",
        "5.0 jobs/min",
        "6.0 jobs/h",
    ]


def test_lines_are_broken_between_words_only() -> None:
    """A key, an id and a command can be copied from a narrow terminal."""
    line = "4 runs continue at the platform; abort with: orchestrator abort output/shops/2026-ab"
    assert wrapped(line, 60).split("\n") == [
        "4 runs continue at the platform; abort with:",
        "orchestrator abort output/shops/2026-ab",
    ]
    assert wrapped(line, 100) == line
    assert wrapped("job=a-key-of-20-letters run=b", 12).split("\n") == [
        "job=a-key-of-20-letters",
        "run=b",
    ]
    assert wrapped("one\n    two three\n", 9) == "one\n    two\nthree\n"
