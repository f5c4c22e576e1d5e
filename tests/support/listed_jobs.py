"""Jobs and facts of pages, built without a ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.ledger.records import ListedAttempt, ListedJob
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch, BatchState
from orchestrator.model.ids import DatasetId, JobKey, RunId
from orchestrator.model.jobs import Target, TargetKind
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.report.page.batch_page import BatchPage, PageFacts
from tests.support.builders import NOON, make_batch

PRAGUE = ZoneInfo("Europe/Prague")


def listed_attempt(seq: int = 0, number: int = 1, **fields: Any) -> ListedAttempt:
    """An attempt whose run took a minute and succeeded."""
    given = {
        "state": AttemptState.SETTLED,
        "outcome": "SUCCEEDED",
        "run_id": RunId(f"run{seq}n{number}"),
        "dataset_id": DatasetId(f"data{seq}n{number}"),
        "run_status": "SUCCEEDED",
        "exit_code": 0,
        "started_at": NOON,
        "finished_at": NOON + timedelta(minutes=1),
        "memory_mbytes": 1024,
        "cost_usd": Decimal("0.01"),
        "items": 10,
        "size_bytes": 100,
        "sha256": None,
        "proof": None,
        "unproven": None,
        "datasets": (),
        "build_number": "0.0.1",
        "is_adopted": False,
        "resurrected_at": None,
        "reused_from": None,
        "is_straggler": False,
        "error": None,
        **fields,
    }
    return ListedAttempt(seq=seq, number=number, **given)


def listed_job(seq: int = 0, **fields: Any) -> ListedJob:
    """A job that succeeded at its first attempt."""
    given = {
        "key": JobKey(f"job-{seq}"),
        "target": Target(kind=TargetKind.ACTOR, id="me/actor"),
        "params": {},
        "tags": (),
        "has_log": True,
        "input_sha256": None,
        "status": JobStatus.SUCCEEDED,
        "error": None,
        "attempts": (listed_attempt(seq),),
        **fields,
    }
    return ListedJob(seq=seq, **given)


def make_totals(**fields: Any) -> Totals:
    """The totals of one job that succeeded."""
    given = {
        "jobs": {JobStatus.SUCCEEDED: 1},
        "attempts": 1, "runs": 1, "adopted": 0, "reused": 0, "items": 10, "size_bytes": 100,
        "cost_usd": Decimal("0.01"), "paid_again_usd": Decimal(0), "cost_is_provisional": False,
        "unproven": {}, "uncollected": None, "ready": 0, "near_cap": [], "stragglers": [],
        "orphans": [], "calls": [], **fields,
    }  # fmt: skip
    return Totals(**given)


def ended_batch(minutes: float = 1.0, **fields: Any) -> Batch:
    """A batch that began at noon in UTC and has ended."""
    end = NOON + timedelta(minutes=minutes)
    return replace(make_batch(), state=BatchState.ENDED, ended_at=end, exit_code=0, **fields)


def make_page(jobs: Iterable[ListedJob], **facts: Any) -> BatchPage:
    """The page of a batch that has ended."""
    given = {
        "batch": ended_batch(),
        "totals": make_totals(),
        "zone": PRAGUE,
        "now": datetime(2026, 11, 25, 13, 0, tzinfo=UTC),
        "folder": "output/nightly/x",
        **facts,
    }
    page = BatchPage(PageFacts(**given))
    for job in jobs:
        page.add(job)
    return page
