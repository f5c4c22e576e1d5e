"""The lock of a batch, between two processes."""

from __future__ import annotations

from pathlib import Path
from select import select
from threading import Event, Thread
from typing import Any

import pytest

from orchestrator.errors import BatchHeld
from orchestrator.ledger import lock
from orchestrator.ledger.lock import BatchLock


def test_resume_waits_for_a_command_that_writes_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`status` holds a batch while it writes late costs, and refuses no other command."""
    has_tried, is_held = Event(), Event()
    pause = select

    def tried(*given: Any) -> None:
        has_tried.set()
        pause(*given)

    monkeypatch.setattr(lock, "select", tried)

    def resume() -> None:
        with BatchLock(tmp_path, "resume"):
            is_held.set()

    with BatchLock(tmp_path, "costs"):
        process = Thread(target=resume)
        process.start()
        for _ in range(2 * lock.TRIES):
            has_tried.clear()
            assert has_tried.wait(30)
        assert not is_held.is_set()
    process.join()
    assert is_held.is_set()


def test_error_for_a_running_batch_names_its_command(tmp_path: Path) -> None:
    """A second command ends at once, and says which process holds the batch."""
    with (
        BatchLock(tmp_path, "run"),
        pytest.raises(BatchHeld, match=r"process \d+ on .*: run"),
        BatchLock(tmp_path, "resume"),
    ):
        pass
