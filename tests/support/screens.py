"""
Writes the screens of docs/live-view.md: what a terminal shows of an example of a batch.

They come from the view itself, drawn on a terminal and read from it again. `make screenshots`
writes them, and a test compares them.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pyte

from orchestrator.app.clock import utc_now
from orchestrator.cli.live_view import LiveView
from orchestrator.model.ids import JobKey, RunId
from orchestrator.model.progress import FailedJob, LiveRun, Progress
from orchestrator.model.states import JobStatus
from tests.support.terminal import RealScreen, set_size

PAGE = Path(__file__).parents[2] / "docs" / "live-view.md"
BLOCK = re.compile(r"(<!-- screen (\d+)x(\d+) -->\n```text\n).*?\n?(```\n)", re.DOTALL)
BATCH = Path("output/shops/20261126T204104Z-3e770e9")
USUAL_SECS = {"us": 48.0, "eu": 130.0}


def page_with_screens(page: str) -> str:
    """The page with its screens drawn again."""
    return BLOCK.sub(
        lambda found: f"{found[1]}{screen(int(found[2]), int(found[3]))}\n{found[4]}", page
    )


def screen(columns: int, lines: int) -> str:
    """What a terminal of this size shows of the example, without blank lines at the end."""
    ours, theirs = os.openpty()
    set_size(ours, columns, lines)
    shown, stream = RealScreen(columns, lines), Written(theirs)
    with patch.dict(os.environ, {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "NO_COLOR": ""}):
        LiveView(stream, name=BATCH.parent.name, folder=Path.cwd() / BATCH).draw(example)
    pyte.Stream(shown).feed(stream.getvalue())
    os.close(theirs)
    os.close(ours)
    return "\n".join(line.rstrip() for line in shown.display).rstrip()


class Written(StringIO):
    """Stores what is written to a terminal."""

    encoding = "utf-8"

    def __init__(self, handle: int) -> None:
        super().__init__()
        self._handle = handle

    def fileno(self) -> int:
        """The terminal."""
        return self._handle


def example(rows: int) -> Progress:
    """A batch of 1,000 jobs half an hour after its start."""
    # The clock of the view: that of the system may have been corrected since this process began.
    now = utc_now()
    ages = [431, 124, 118, 97, 88, 61, 60, 44, 41, 33, 29, 21, 17, 12, 8, 7, 5, 3]
    live = tuple(
        LiveRun(
            key=JobKey(f"shop-{region}-2026-11-{seq % 28 + 1:02}-category-{seq * 7:03}"),
            run_id=RunId(f"run{seq}"),
            target="apify/website-content-crawler",
            since=now - timedelta(seconds=age),
            usual_secs=USUAL_SECS[region],
            is_straggler=seq == 0,
        )
        for seq, age in enumerate(ages)
        for region in ["eu" if seq % 3 == 1 else "us"]
    )
    failures = (
        FailedJob(
            key=JobKey("shop-eu-2026-11-19-category-004"),
            status=JobStatus.FAILED,
            error="run x FAILED with exit code 1: TimeoutError: the page did not load in 30 s",
            alike=19,
        ),
        FailedJob(
            key=JobKey("shop-us-2026-11-07-category-311"),
            status=JobStatus.TIMED_OUT,
            error="run x TIMED-OUT: it took longer than its timeout of 600 s",
            alike=1,
        ),
    )
    return Progress(
        at=now,
        began_at=now - timedelta(minutes=31, seconds=7),
        total=1000,
        settled={JobStatus.SUCCEEDED: 572, JobStatus.FAILED: 19, JobStatus.TIMED_OUT: 1},
        running=len(live),
        collecting=6,
        live=live[:rows],
        failures=failures,
        items=48_210,
        size_bytes=196_400_000,
        cost_usd=Decimal("3.8124"),
        max_cost_usd=Decimal(10),
        lately=19,
        lately_from=now - timedelta(minutes=1),
        limit="18 of 18 runs are in progress",
        limited=384,
        ends_at=now + timedelta(minutes=19.5),
    )


if __name__ == "__main__":
    PAGE.write_text(page_with_screens(PAGE.read_text()))
