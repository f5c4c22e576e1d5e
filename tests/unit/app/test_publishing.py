"""How a batch gets its number and its name, beside another process that does the same."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from orchestrator.app.batch_folders import newest
from orchestrator.app.publishing import publish
from orchestrator.errors import BatchHeld
from tests.support.builders import make_batch, make_ledger


async def test_batch_does_not_wait_for_a_paused_process(tmp_path: Path) -> None:
    """Another call was stopped while it published its batch: this one ends, and says why."""
    batch = make_batch()
    home = tmp_path / batch.name
    prepared = home / f".{batch.id}.new"
    prepared.mkdir(parents=True)
    make_ledger(prepared)
    handle = os.open(home, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(BatchHeld, match=r"for 0\.1 s, so it is paused"):
        await publish(prepared, batch, lambda _: None, turn_secs=0.1)
    os.close(handle)
    folder = await publish(prepared, batch, lambda _: None)
    assert newest(home) == folder
