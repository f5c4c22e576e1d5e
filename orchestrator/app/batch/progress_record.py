"""Records the progress of a batch in its ledger, for other processes that show it."""

from __future__ import annotations

import anyio

from orchestrator.app.batch.live_source import LiveSource
from orchestrator.app.batch.open_batch import NOT_OURS, OpenBatch
from orchestrator.errors import DiskFull, StoppedEarly
from orchestrator.model.progress import Progress, Wait

RECORD_EVERY_SECS = 2.0
RECORDED_RUNS = 60
"""How many runs in progress other processes can show: the rows of a high terminal."""
SIGN_OF_LIFE_SECS = 30.0
"""How exactly the active time of a process that is killed is known."""


async def record_progress(batch: OpenBatch, live: LiveSource) -> None:
    """Records progress, and why jobs wait, for other processes that show them; until cancelled."""
    ledger = batch.ledger
    waits: list[Wait] = []
    recorded: Progress | None = None
    while True:
        progress, new_waits = live.progress(RECORDED_RUNS), live.scheduler.waits()
        try:
            if new_waits != waits:
                await ledger.record_waits(new_waits)
            if recorded is None or _is_worth_recording(progress, recorded):
                await ledger.record_progress(progress)
                recorded = progress
                # Known also if this process is killed.
                await batch.sent.record()
            else:
                # This checks that the process still owns the batch, as the others do.
                await ledger.check_owner()
            waits = new_waits
        except DiskFull:
            # The next write that matters stops the batch.
            pass
        except (StoppedEarly, *NOT_OURS) as error:
            live.scheduler.stop(error)
        await anyio.sleep(RECORD_EVERY_SECS)


def _is_worth_recording(progress: Progress, recorded: Progress) -> bool:
    """Whether something has happened, or the process should show that it is alive."""
    silent_secs = (progress.at - recorded.at).total_seconds()
    return progress.facts != recorded.facts or silent_secs > SIGN_OF_LIFE_SECS
