"""The log of a job's run: from disk if it was collected, else from the platform."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.app.account.batch_account import check_account
from orchestrator.app.batch_folders import LEDGER, display
from orchestrator.app.setup.context import BatchContext, connected_client
from orchestrator.errors import UsageError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.lock import is_held
from orchestrator.ledger.records import JobReport
from orchestrator.model.ids import RunId
from orchestrator.model.states import SETTLED_JOB_STATUSES, AttemptState
from orchestrator.pasted_command import pasted_command
from orchestrator.specfile.diagnostics import unknown

LOOK_EVERY_SECS = 1.0
LIVE = frozenset({AttemptState.STARTED, AttemptState.ADOPTED})


async def log_of(folder: Path, key: str, context: BatchContext) -> AsyncGenerator[bytes]:
    """
    The log of the last run of a job, in pieces, until the run has ended.

    Raises:
        UsageError: there is no such job, it has no run yet, or the token belongs to another
            account.
        PlatformError: the log cannot be read.
    """
    with LedgerReader(folder / LEDGER) as reader:
        batch, report = reader.batch(), _report(reader, folder, key)
    if report.run_id is None:
        raise UsageError(f"{report.job.key} has no run{_why(folder, report)}")
    collected = anyio.Path(folder / "jobs" / report.job.key / "log.txt")
    if report.state is AttemptState.SETTLED and await collected.is_file():
        yield await collected.read_bytes()
        return
    await check_account(folder, batch, context)
    async with (
        connected_client(
            batch.plan.local, context, away_secs=context.settings.platform_away_secs
        ) as client,
        client.runs.stream_log(report.run_id, follow=True) as download,
    ):
        async for piece in download.chunks():
            yield piece


async def logs_to_the_end(folder: Path, key: str, context: BatchContext) -> AsyncGenerator[bytes]:
    """
    The logs of the last run of a job and of those that follow, until the job is settled.

    It waits for a run that is not known yet, and ends when no process runs the batch any more.

    Raises:
        UsageError: there is no such job, no process runs the batch and the job has no run, or
            the token belongs to another account.
        PlatformError: a log cannot be read.
    """
    with LedgerReader(folder / LEDGER) as reader:
        batch, report = reader.batch(), _report(reader, folder, key)
        if report.status in SETTLED_JOB_STATUSES or not is_held(folder):
            async with aclosing(log_of(folder, key, context)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        await check_account(folder, batch, context)
        async with connected_client(
            batch.plan.local, context, away_secs=context.settings.platform_away_secs
        ) as client:
            following = _Following(client)
            while True:
                # Checked before reading: the last look sees the last writes of the process.
                held = is_held(folder)
                report = _report(reader, folder, key)
                async with aclosing(following.more(report)) as pieces:
                    async for piece in pieces:
                        yield piece
                if report.status in SETTLED_JOB_STATUSES or not held:
                    return
                await anyio.sleep(LOOK_EVERY_SECS)


@dataclass(slots=True)
class _Following:
    """
    What was printed of the logs of a job.

    Attributes:
        printed: how many bytes of the log of each run.
        whole: the attempts whose logs are printed to their ends.
    """

    client: ApifyClient
    printed: dict[RunId, int] = field(default_factory=dict)
    whole: set[int] = field(default_factory=set)

    async def more(self, report: JobReport) -> AsyncGenerator[bytes]:
        """What the log of the last attempt has more than was printed."""
        if report.run_id is None or report.attempts in self.whole:
            return
        if report.state not in LIVE:
            # A stream that began before the end of the run may lack the last lines.
            self.whole.add(report.attempts)
        skipped, position = self.printed.get(report.run_id, 0), 0
        async with self.client.runs.stream_log(report.run_id, follow=True) as download:
            async for piece in download.chunks():
                position += len(piece)
                if position > skipped:
                    self.printed[report.run_id] = position
                    yield piece[max(0, len(piece) - (position - skipped)) :]


def _why(folder: Path, report: JobReport) -> str:
    """Why a job has no run, and what to do."""
    if report.status in SETTLED_JOB_STATUSES:
        return f": it is {report.status}"
    if is_held(folder):
        return " yet; with -f, logs waits for it"
    return f", and no process runs the batch: {pasted_command('resume', display(folder))}"


def _report(reader: LedgerReader, folder: Path, key: str) -> JobReport:
    report = reader.report(key)
    if report is None:
        raise UsageError(f"{folder.name}: {unknown(key, reader.keys(), 'job')}")
    return report
