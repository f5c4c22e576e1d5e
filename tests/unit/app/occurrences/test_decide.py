"""
Each rule of `run --resume`, in the order of the design: the batches on disk and the decision.

The call is at 2026-11-26 02:15 unless a row says otherwise. A letter names each batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app.occurrences.decide import (
    Call,
    Complete,
    Decision,
    Illegible,
    Known,
    Nothing,
    Resume,
    RunNew,
    State,
    decide,
)
from orchestrator.model.batches import LOCAL, Series
from orchestrator.model.ids import BatchName
from orchestrator.model.selection import Choice

SERIES = Series(name=BatchName("nightly"), platform="https://api.apify.com", account="me")
TONIGHT = datetime(2026, 11, 26, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
DONE, LIVE, BUSY, CUT = State.DONE, State.LIVE, State.BUSY, State.INTERRUPTED


def night(letter: str, state: State, back: int = 0, **facts: Any) -> Known:
    """A batch of an occurrence some days back; later letters have higher numbers."""
    occurrence = TONIGHT - back * DAY
    given: dict[str, Any] = {
        "folder": Path(letter),
        "series": SERIES,
        "occurrence": occurrence,
        "number": ord(letter),
        "state": state,
        "began_at": occurrence + timedelta(seconds=3),
        "exit_code": {DONE: 0, CUT: 143}.get(state),
        **facts,
    }
    return Known(**given)


def call(**facts: Any) -> Call:
    """A call by cron, a second after the time of the schedule."""
    given: dict[str, Any] = {
        "now": TONIGHT + timedelta(seconds=1),
        "occurrence": TONIGHT,
        "opens_at": TONIGHT - timedelta(minutes=5),
        "series": SERIES,
        "spec": Path("nightly.toml"),
        **facts,
    }
    return Call(**given)


def shown(decision: Decision) -> str:
    """A short form of a decision: the wait, the batch that serves, the steps for earlier ones."""
    words = [f"wait {folder}" for folder in decision.waits_for]
    for step in (decision.serve, *decision.earlier):
        match step:
            case RunNew():
                words.append("run")
            case Resume(folder=folder):
                words.append(f"resume {folder}")
            case Complete(folder=folder):
                words.append(f"complete {folder}")
            case Nothing(code=code, folder=folder):
                words.append(f"end {code}" if folder is None else f"end {code} by {folder}")
    return ", ".join(words + [f"leave {folder}" for folder in decision.given_up])


OTHER_PARAM = replace(SERIES, params={"country": "fr"})
ON_LOCAL = replace(SERIES, platform=LOCAL, account=None)
PART = replace(SERIES, choice=Choice(limit=4))
SELECTED = replace(SERIES, choice=Choice(select="tag:eu"))
HOURLY = TONIGHT.replace(minute=0)
TWICE = frozenset({TONIGHT - DAY, TONIGHT - 2 * DAY})
MIDNIGHT = TONIGHT.replace(minute=0, hour=0)
FAR = datetime(2040, 1, 1, tzinfo=UTC)
FROM_AIRFLOW = call(is_named=True, now=TONIGHT + 9 * HOUR)
NO_SCHEDULE = call(has_schedule=False, occurrence=MIDNIGHT, opens_at=MIDNIGHT)

ROWS: dict[str, tuple[Call, Sequence[Known], str]] = {
    "1-first-run-ever": (call(), [], "run"),
    "1-last-night-is-done": (call(), [night("a", DONE, 1)], "run"),
    "1-last-night-stopped-by-its-budget": (call(), [night("a", DONE, 1, exit_code=3)], "run"),
    "1-tonight-is-done": (call(), [night("a", DONE)], "end 0 by a"),
    "1-tonight-failed": (call(), [night("a", DONE, exit_code=1)], "end 1 by a"),
    "1-tonight-stopped-by-its-budget": (call(), [night("a", DONE, exit_code=3)], "end 3 by a"),
    "1-tonight-was-interrupted": (call(), [night("a", CUT)], "resume a"),
    "1-tonight-was-interrupted-by-sigint": (call(), [night("a", CUT, exit_code=130)], "resume a"),
    "1-newest-of-tonight-serves": (call(), [night("a", CUT), night("b", DONE)], "end 0 by b"),
    "1-newest-of-tonight-is-cut": (call(), [night("b", CUT), night("a", DONE)], "resume b"),
    "1-plain-run-of-today-serves": (
        call(),
        [night("a", DONE, is_by_resume=False)],
        "end 0 by a",
    ),
    "1-restart-after-midnight": (
        call(now=TONIGHT + 23 * HOUR),
        [night("a", CUT, began_at=TONIGHT + 21 * HOUR)],
        "resume a",
    ),
    "1-schedule-moved-back-at-noon": (
        call(occurrence=TONIGHT - HOUR, opens_at=TONIGHT - HOUR, now=TONIGHT + 10 * HOUR),
        [night("a", DONE)],
        "end 0 by a",
    ),
    "1-schedule-moved-on-at-noon": (
        call(occurrence=TONIGHT + 12 * HOUR, now=TONIGHT + 12 * HOUR),
        [night("a", DONE)],
        "run",
    ),
    "1-named-occurrence-is-not-served-by-a-later-one": (
        call(occurrence=TONIGHT - DAY, is_named=True),
        [night("a", DONE)],
        "run",
    ),
    "1-named-occurrence-is-done": (FROM_AIRFLOW, [night("a", DONE, exit_code=1)], "end 1 by a"),
    "1-named-occurrence-without-schedule-is-done": (
        replace(FROM_AIRFLOW, has_schedule=False),
        [night("a", DONE)],
        "end 0 by a",
    ),
    "1-hourly-line-without-schedule": (
        NO_SCHEDULE,
        [night("a", DONE, occurrence=MIDNIGHT)],
        "end 2 by a",
    ),
    "1-without-schedule-next-day": (
        NO_SCHEDULE,
        [night("a", DONE, 1, occurrence=MIDNIGHT - DAY)],
        "run",
    ),
    "1-without-schedule-restart-after-midnight": (
        replace(NO_SCHEDULE, now=MIDNIGHT + HOUR),
        [night("a", CUT, occurrence=MIDNIGHT - DAY, began_at=MIDNIGHT - HOUR)],
        "resume a",
    ),
    "1-without-schedule-after-twelve-hours": (
        replace(NO_SCHEDULE, now=MIDNIGHT + 12 * HOUR),
        [night("a", CUT, occurrence=MIDNIGHT - DAY, began_at=MIDNIGHT - HOUR)],
        "run, resume a",
    ),
    "1-with-schedule-a-recent-one-of-another-occurrence-does-not-serve": (
        call(occurrence=HOURLY + HOUR, now=HOURLY + HOUR),
        [night("a", CUT, occurrence=HOURLY, began_at=HOURLY)],
        "run, resume a",
    ),
    "2-last-night-was-interrupted": (call(), [night("a", CUT, 1)], "run, resume a"),
    "2-last-nights-newest-first": (
        call(),
        [night("a", CUT, 2), night("b", CUT, 1)],
        "run, resume b, resume a",
    ),
    "2-interrupted-by-sigint-is-left": (call(), [night("a", CUT, 1, exit_code=130)], "run"),
    "2-after-seven-days": (call(), [night("a", CUT, 8)], "run"),
    "2-within-the-time-of-the-spec": (
        call(resume_within=timedelta(days=10)),
        [night("a", CUT, 8)],
        "run, resume a",
    ),
    "2-resumed-for-two-later-occurrences": (
        call(),
        [night("a", CUT, 3, later_resumes=TWICE)],
        "run, leave a",
    ),
    "2-resumed-for-one-later-occurrence": (
        call(),
        [night("a", CUT, 2, later_resumes=frozenset({TONIGHT - DAY}))],
        "run, resume a",
    ),
    "2-restarts-within-one-occurrence-count-once": (
        call(),
        [
            night("a", CUT, 2, later_resumes=frozenset({TONIGHT - DAY, TONIGHT})),
            night("b", DONE),
        ],
        "end 0 by b, resume a",
    ),
    "2-earlier-one-that-was-run-again-is-left": (
        call(),
        [night("a", CUT, 1), night("b", DONE, 1)],
        "run",
    ),
    "2-both-tonight-and-last-night": (
        call(),
        [night("a", CUT, 1), night("b", CUT)],
        "resume b, resume a",
    ),
    "2-named-occurrence-skips-earlier-ones": (FROM_AIRFLOW, [night("a", CUT, 1)], "run"),
    "3-crash-has-no-code": (call(), [night("a", CUT, 1, exit_code=None)], "run, resume a"),
    "4-tonight-lacks-its-report": (call(), [night("a", DONE, lacks=True)], "complete a"),
    "4-last-night-lacks-its-report": (
        call(),
        [night("a", DONE, 1, lacks=True)],
        "run, complete a",
    ),
    "4-without-schedule-completing-is-enough": (
        NO_SCHEDULE,
        [night("a", DONE, occurrence=MIDNIGHT, lacks=True)],
        "complete a",
    ),
    "5-tonight-is-live": (call(), [night("a", LIVE)], "end 4 by a"),
    "5-tonight-is-being-retried": (call(), [night("a", BUSY)], "end 4 by a"),
    "5-last-night-is-live": (call(), [night("a", LIVE, 1)], "wait a, run"),
    "5-last-night-is-live-and-tonight-done": (
        call(),
        [night("a", LIVE, 1), night("b", DONE)],
        "end 0 by b",
    ),
    "5-last-night-is-live-and-tonight-cut": (
        call(),
        [night("a", LIVE, 1), night("b", CUT)],
        "wait a, resume b",
    ),
    "5-last-month-is-live": (call(), [night("a", LIVE, 30)], "wait a, run"),
    "5-last-night-is-being-retried": (call(), [night("a", BUSY, 1)], "run"),
    "5-named-occurrence-waits-for-no-other": (FROM_AIRFLOW, [night("a", LIVE, 1)], "run"),
    "5-other-series-is-live": (call(), [night("a", LIVE, 1, series=OTHER_PARAM)], "run"),
    "6-other-file-of-the-same-name": (
        call(),
        [night("a", DONE, other_spec=Path("copy.toml"))],
        "end 2",
    ),
    "6-other-file-by-plain-run": (
        call(),
        [night("a", DONE, other_spec=Path("copy.toml"), is_by_resume=False)],
        "end 0 by a",
    ),
    "6-other-file-last-night": (
        call(),
        [night("a", DONE, 1, other_spec=Path("copy.toml"))],
        "run",
    ),
    "series-two-lines-that-differ-by-param": (
        call(),
        [night("a", DONE, series=OTHER_PARAM)],
        "run",
    ),
    "series-local-beside-the-account": (call(), [night("a", DONE, series=ON_LOCAL)], "run"),
    "series-test-with-limit": (call(), [night("a", CUT, series=PART, exit_code=130)], "run"),
    "series-nightly-selection": (
        call(series=SELECTED),
        [night("a", DONE), night("b", DONE, series=SELECTED)],
        "end 0 by b",
    ),
    "series-account-that-is-not-known": (
        call(series=replace(SERIES, account=None)),
        [night("a", DONE)],
        "end 0 by a",
    ),
    "series-other-account": (
        call(),
        [night("a", DONE, series=replace(SERIES, account="you"))],
        "run",
    ),
    "series-batch-of-an-earlier-version": (
        call(),
        [night("a", DONE, number=0, series=replace(SERIES, platform=None, account=None))],
        "end 0 by a",
    ),
    "future-batch-does-not-count": (
        call(),
        [night("z", CUT, occurrence=FAR, began_at=FAR), night("a", DONE)],
        "end 0 by a",
    ),
    "future-live-batch-is-not-waited-for": (call(), [night("z", LIVE, occurrence=FAR)], "run"),
    "early-by-five-minutes": (
        call(now=TONIGHT - timedelta(minutes=5)),
        [night("a", DONE, 1)],
        "run",
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_each_occurrence_gets_its_batch(row: tuple[Call, Sequence[Known], str]) -> None:
    """Each occurrence gets its batch, once, whatever other batches there are."""
    asked, batches, expected = row
    assert shown(decide(asked, batches)) == expected
    assert shown(decide(asked, list(reversed(batches)))) == expected


def test_batch_of_the_future_is_named_in_a_warning() -> None:
    """A batch that a wrong clock made is ignored, and a warning names its folder."""
    decision = decide(call(), [night("z", DONE, occurrence=FAR)])
    (warning,) = decision.warnings
    assert warning.startswith("z: ")
    assert "future" in warning


def test_two_files_of_one_name_are_both_named() -> None:
    """The message names both spec files with the same batch name."""
    serve = decide(call(), [night("a", DONE, other_spec=Path("copy.toml"))]).serve
    assert isinstance(serve, Nothing)
    assert "copy.toml" in serve.reason
    assert "nightly.toml" in serve.reason


def test_harmless_batch_of_another_file_is_a_warning() -> None:
    """A batch of the same name from another file causes a warning, and nothing is refused."""
    (warning,) = decide(call(), [night("a", DONE, 1, other_spec=Path("copy.toml"))]).warnings
    assert "copy.toml" in warning


@pytest.mark.parametrize(
    ("made_at", "expected"),
    [(TONIGHT + HOUR, "end 2"), (TONIGHT - timedelta(minutes=2), "end 2"), (TONIGHT - HOUR, "run")],
    ids=["newer", "made-a-little-early", "older"],
)
def test_unreadable_folder_stops_only_the_occurrence_that_it_may_serve(
    made_at: datetime, expected: str
) -> None:
    """A batch that may be tonight's is not paid for again; older folders stop nothing."""
    broken = Illegible(folder=Path("x"), made_at=made_at, reason="the ledger is damaged")
    assert shown(decide(call(), [], [broken])) == expected


def test_error_for_a_done_batch_without_schedule_says_what_to_do() -> None:
    """An hourly call without `schedule` must not be reported as a success."""
    serve = decide(NO_SCHEDULE, [night("a", DONE, occurrence=MIDNIGHT)]).serve
    assert isinstance(serve, Nothing)
    assert "schedule" in serve.reason
    assert "orchestrator run" in serve.reason
