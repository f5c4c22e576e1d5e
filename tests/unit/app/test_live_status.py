"""What another process shows of a batch that several processes share."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.app.batch.live_status import recorded_progress
from orchestrator.ledger import LedgerReader
from orchestrator.model.progress import Progress
from tests.support.builders import NOON, make_job, make_ledger


async def test_no_more_jobs_are_limited_than_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process has recorded the limit before the others have started its jobs."""
    ledger = make_ledger(tmp_path, make_job(0), make_job(1))
    await ledger.record_progress(
        Progress(at=NOON, began_at=NOON, total=2, limit="6 of 6 runs are in progress", limited=5)
    )
    # Only a ledger at a server is shared.
    monkeypatch.setattr(LedgerReader, "is_shared", lambda _reader: True)
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        shown = recorded_progress(reader)
    assert shown is not None
    assert (shown.limit, shown.limited, shown.waiting) == ("6 of 6 runs are in progress", 2, 2)
