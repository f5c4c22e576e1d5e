"""Checks the datasets of a batch against the platform: whether it holds more than is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.app.account.account_limits import downloads_at_once
from orchestrator.app.account.batch_account import check_account
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.outputs.verification import stored_of
from orchestrator.app.setup.context import BatchContext, connected_client
from orchestrator.collector.dataset import count_behind
from orchestrator.errors import NoEndpoint, NotFound
from orchestrator.ledger import JobReport, LedgerReader
from orchestrator.model.ids import DatasetId, JobKey
from orchestrator.model.jobs import ItemsQuery
from orchestrator.model.selection import Selection
from orchestrator.model.states import AttemptState


class Difference(NamedTuple):
    """
    How the platform differs from what was collected of a job.

    Attributes:
        is_collectable: whether `collect --online` downloads what is missing here; the platform may
            have lost a dataset that is here.
    """

    text: str
    is_collectable: bool


async def verify_online(
    folder: Path, context: BatchContext, selection: Selection
) -> dict[JobKey, Difference]:
    """
    How the platform differs from the disk, by job: one request each, after the last item on disk.

    Raises:
        UsageError: the ledger cannot be read, or the token belongs to another account.
        PlatformError: the platform cannot be asked.
    """
    wrong: dict[JobKey, Difference] = {}
    with LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
        await check_account(folder, batch, context)
        reports = (report for report in reader.reports() if _is_checked(report, selection))
        at_once = downloads_at_once(context.settings, batch)
        async with (
            connected_client(
                batch.plan.local, context, away_secs=context.settings.platform_away_secs
            ) as client,
            anyio.create_task_group() as tasks,
        ):
            for number in range(at_once):
                tasks.start_soon(_check, client, reports, wrong, name=f"verify-{number}")
    return wrong


def _is_checked(report: JobReport, selection: Selection) -> bool:
    job = report.job
    is_over = report.state is AttemptState.SETTLED and report.run_id is not None
    return is_over and selection.matches(job.key, report.status, job.tags)


async def _check(
    client: ApifyClient, reports: Iterator[JobReport], wrong: dict[JobKey, Difference]
) -> None:
    for report in reports:
        query = report.job.collect.query
        asked = []
        if report.job.collect.items and report.sha256 is not None and report.dataset_id is not None:
            asked.append((report.dataset_id, stored_of(report), ""))
        asked += [
            (other.dataset_id, other.stored, f" of dataset {other.name}")
            for other in report.datasets
            if other.dataset_id is not None
        ]
        answers = [await _difference(client, query, *one) for one in asked]
        if found := [answer for answer in answers if answer is not None]:
            text = ", ".join(one.text for one in found)
            wrong[report.job.key] = Difference(text, any(one.is_collectable for one in found))


async def _difference(
    client: ApifyClient, query: ItemsQuery, dataset_id: DatasetId, stored: int, of: str
) -> Difference | None:
    """How the platform's dataset differs from what was collected of it."""
    try:
        held = await count_behind(client, dataset_id, query, stored)
    except NoEndpoint:
        # Nothing was asked of the platform, so nothing is known to be gone.
        raise
    except NotFound:
        gone = f"dataset {dataset_id} does not exist on the platform any more"
        return Difference(gone, is_collectable=False)
    if held == stored:
        return None
    text = f"the platform holds {held} items{of}, and {stored} were collected"
    return Difference(text, is_collectable=True)
