"""
The page of one batch as it changes: what is new since a browser last asked.

Every reading of a ledger walks through all jobs. So the ledger is read only when a file of it has
changed, and never for more than a tenth of the time.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import orjson

from orchestrator.app.batch.page_content import BatchReading
from orchestrator.report.page.batch_page import BatchPage
from orchestrator.report.page.document import document, page_data, page_words, sections

LIVE_SECS = 5.0
"""How often the page of a live batch is drawn again when nothing but the time has changed."""

POLL_SECS, SLOW_POLL_SECS = 2, 15
"""How often a browser asks: of a batch that a process runs, and of any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """
    How often a ledger is read at most.

    Attributes:
        share: of the time that may be spent on reading.
    """

    shortest_pause_secs: float = 1.0
    share: float = 0.1


PACE = Pace()


class LiveBatch:
    """
    A batch that somebody looks at; its methods block, and threads may share it.

    Args:
        address: of its page on the server.
    """

    def __init__(self, folder: Path, address: str, pace: Pace = PACE) -> None:
        self._pace = pace
        self._reading = BatchReading(folder, job_pages=f"{address}/jobs/")
        self._address = address
        self._epoch = secrets.token_hex(4)
        self._lock = Lock()
        self._version = 0
        self._errors: dict[str, int] = {}
        self._rows: dict[int, tuple[bytes, int]] = {}
        self._sections: dict[str, tuple[str, int]] = {}
        self._page: BatchPage | None = None
        self._state: tuple[object, ...] = ()
        self._read_at = self._pause_secs = 0.0

    def document(self, home: str) -> bytes:
        """
        The whole page.

        Raises:
            LedgerCorrupt, LedgerVersionMismatch, OutputNotWritable: the batch cannot be read.
        """
        with self._lock:
            page = self._refreshed()
            shown = {name: html for name, (html, _) in self._sections.items()}
            data = page_data(
                page, (row for row, _ in self._rows.values()), **self._progress(len(self._errors))
            )
            pieces = document(
                page,
                shown,
                data=data,
                live=f"{self._address}/changes",
                places=[(home, "All batches")],
            )
            return b"".join(pieces)

    def changes(self, since: str) -> bytes | None:
        """
        What has changed since a version, as JSON; None when nothing has.

        Raises:
            LedgerCorrupt, LedgerVersionMismatch, OutputNotWritable: the batch cannot be read.
        """
        with self._lock:
            page = self._refreshed()
            epoch, _, rest = since.partition(".")
            number, _, errors = rest.partition(".")
            if epoch != self._epoch or not (number.isdecimal() and errors.isdecimal()):
                return orjson.dumps({"reload": True})
            seen, known = int(number), int(errors)
            if seen == self._version:
                return None
            head = {
                **page_words(page),
                **self._progress(len(self._errors)),
                "sections": {n: html for n, (html, at) in self._sections.items() if at > seen},
                "errors_from": known,
                "errors": page.table.errors(known),
            }
            rows = b",".join(row for row, at in self._rows.values() if at > seen)
            return orjson.dumps(head).removesuffix(b"}") + b',"rows":[' + rows + b"]}"

    def _progress(self, errors: int) -> Mapping[str, object]:
        page = self._page
        is_held = page is not None and page.facts.is_held
        return {
            "version": f"{self._epoch}.{self._version}.{errors}",
            "every": POLL_SECS if is_held else SLOW_POLL_SECS,
        }

    def _refreshed(self) -> BatchPage:
        now = time.monotonic()
        if self._page is not None and now - self._read_at < self._pause_secs:
            return self._page
        state = self._reading.state()
        is_due = self._page is None or state != self._state
        if not is_due and not (self._reading.is_held and now - self._read_at >= LIVE_SECS):
            assert self._page is not None  # noqa: S101 - the first reading is due
            return self._page
        self._page, self._state = self._reading.page(self._errors), state
        self._note_changes(self._page)
        self._read_at = time.monotonic()
        self._pause_secs = max(
            self._pace.shortest_pause_secs, (self._read_at - now) / self._pace.share
        )
        return self._page

    def _note_changes(self, page: BatchPage) -> None:
        following = self._version + 1
        shown = sections(page)
        for name, html in shown.items():
            shown_before = self._sections.get(name)
            # An empty one counts too: the page needs the place where it will be.
            if shown_before is None or shown_before[0] != html:
                self._sections[name] = (html, following)
                self._version = following
        for seq, row in page.table.rows():
            known = self._rows.get(seq)
            if known is None or known[0] != row:
                self._rows[seq] = (row, following)
                self._version = following
