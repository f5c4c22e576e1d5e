"""
Writes the pictures of the pages that docs/ shows: `make screenshots`.

They show batches that never ran, so each call gives the same pictures.
"""

from __future__ import annotations

import sqlite3
from contextlib import chdir, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from pydantic import SecretStr

from orchestrator.ui.server import serve_pages
from tests.support.browser import Page, open_browser
from tests.support.finished_batches import many_jobs, write_batch
from tests.support.report_page import write_page

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
JOBS, BATCHES = 300, 8
LOG_END = (
    "Traceback (most recent call last):\n"
    '  File "main.py", line 41, in main\n'
    "playwright.TimeoutError: Navigation timed out after 60000 ms\n"
)


async def main() -> None:
    """Writes all pictures."""
    # From within it, because the pages name folders as a command in the working folder does.
    with TemporaryDirectory() as folder, chdir(folder):
        output = Path(folder, "output")
        report = write_page(sample_batches(output))
        for number in (1, 2, 3):
            write_batch(output, many_jobs(40, failing_every=41), number=number, name="weekly")
        async with (
            open_browser() as page,
            serve_pages(output, 0, SecretStr("a-random-token")) as url,
        ):
            await _write(page, report.as_uri(), "report", 1280, 900)
            await _write(page, report.as_uri(), "report-phone", 390, 844, is_dark=True)
            await _write(page, url, "ui", 1280, 640, is_dark=True)


def sample_batches(output: Path) -> Path:
    """Writes eight batches, of which the last had many failures; returns its folder."""
    for number in range(1, BATCHES + 1):
        is_last = number == BATCHES
        folder = write_batch(
            output,
            many_jobs(JOBS, failing_every=15 if is_last else 50, fewer=0.3 if is_last else 1.0),
            number=number,
            slower=1.7 if is_last else 1.0 + number % 3 / 20,
        )
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db, db:
        db.execute(
            "INSERT INTO log_ends SELECT seq, attempts, ? FROM jobs "
            "WHERE status = 'FAILED' LIMIT 1",
            [LOG_END],
        )
    return folder


async def _write(
    page: Page, url: str, name: str, width: int, height: int, *, is_dark: bool = False
) -> None:
    await page.resize(width, height, is_dark=is_dark)
    await page.open(url)
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(PICTURES / f"{name}.png")


if __name__ == "__main__":
    anyio.run(main)
