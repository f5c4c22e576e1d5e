"""Which processes worked on a batch, and for how long."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.ledger import LedgerReader, create_ledger
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch, BatchState
from orchestrator.report.summary import summary_of
from tests.support.builders import NOON, make_batch, make_job, reopen_ledger

MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.usefixtures("each_store")


def read(folder: Path) -> tuple[Batch, Totals]:
    with LedgerReader(folder / "ledger.sqlite") as reader:
        return reader.batch(), reader.totals()


async def test_active_time_excludes_the_time_between_two_calls(tmp_path: Path) -> None:
    """A batch that was interrupted for an hour was active for three minutes."""
    create_ledger(tmp_path / "ledger.sqlite", make_batch(), [make_job()], caller="systemd")
    ledger = reopen_ledger(tmp_path)
    await ledger.close(BatchState.STOPPED, exit_code=143, reason=None, now=NOON + 2 * MINUTE)
    await ledger.begin_call("resume", "terminal", NOON + 62 * MINUTE)
    await ledger.close(BatchState.ENDED, exit_code=0, reason=None, now=NOON + 63 * MINUTE)
    summary = summary_of(*read(tmp_path))
    assert (summary["duration_secs"], summary["active_secs"]) == (63 * 60, 3 * 60)
    assert (summary["caller"], summary["calls"]) == ("systemd", 2)


async def test_idle_call_changes_neither_the_end_nor_the_active_time(tmp_path: Path) -> None:
    """A command that found nothing to do does not change the figures of the batch."""
    create_ledger(tmp_path / "ledger.sqlite", make_batch(), [make_job()])
    ledger = reopen_ledger(tmp_path)
    await ledger.close(BatchState.STOPPED, exit_code=3, reason=None, now=NOON + MINUTE)
    later = reopen_ledger(tmp_path)
    await later.take_over()
    await later.begin_call("resume", "terminal", NOON + 60 * MINUTE)
    now = NOON + 61 * MINUTE
    await later.close(BatchState.STOPPED, exit_code=3, reason=None, now=now, is_idle=True)
    summary = summary_of(*read(tmp_path))
    assert (summary["duration_secs"], summary["active_secs"]) == (60, 60)
