from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from orchestrator.ledger import LedgerReader
from orchestrator.model.ids import RunId
from orchestrator.scheduler.decide.dependencies import Skipped
from orchestrator.scheduler.housekeeping import final_costs, has_ended, skip
from orchestrator.scheduler.parts import Parts
from tests.support.builders import NOON, make_ledger, make_run
from tests.support.scheduler_parts import make_parts
from tests.support.scripted_transport import (
    Reply,
    ScriptedTransport,
    client_of,
    refused,
    reply,
    run_reply,
)
from tests.support.virtual_time import run_virtual

RUN = RunId("run1")
T = TypeVar("T")


def run_in(status: str) -> Reply:
    """A run with this status, as the platform reports it."""
    run = json.loads(run_reply().chunks_[0])["data"]
    return reply(200, {"data": run | {"status": status}})


def ask(folder: Path, question: Callable[[Parts], Awaitable[T]], *answers: Any) -> T:
    """The result of a question to a platform that gives these answers."""

    async def scenario() -> T:
        async with client_of(ScriptedTransport(*answers)) as client:
            return await question(make_parts(ledger=make_ledger(folder), client=client))

    return run_virtual(scenario)


async def final_cost(parts: Parts) -> dict[RunId, Decimal | None]:
    return await final_costs(parts, [RUN])


async def is_ended(parts: Parts) -> bool:
    return await has_ended(parts, make_run("run1"))


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_final_cost_is_requested_again_after_an_unexpected_refusal(
    tmp_path: Path, status: int
) -> None:
    """One unexpected answer does not let the reservation of an ended run count for good."""
    logged = run_reply(usageTotalUsd=0.2)
    costs = ask(tmp_path, final_cost, refused(status, "not-known-yet"), logged)
    assert costs == {RUN: Decimal("0.2")}


def test_final_cost_that_stays_refused_is_unknown(tmp_path: Path) -> None:
    """A run that can no longer be read keeps its reservation as its cost."""
    assert ask(tmp_path, final_cost, refused(404, "record-not-found")) == {RUN: None}


def test_final_cost_is_recorded(tmp_path: Path) -> None:
    """The total of the batch includes it, without a further request."""

    async def end_and_ask(parts: Parts) -> None:
        attempt = await parts.ledger.record_intent(0, 1, NOON)
        await parts.ledger.mark_started(attempt, make_run("run1"))
        await parts.ledger.mark_finished(attempt, make_run("run1"), ended_at=NOON)
        await final_costs(parts, [RUN])

    ask(tmp_path, end_and_ask, run_reply(usageTotalUsd=0.2))
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        assert reader.totals().cost_usd == Decimal("0.2")


def test_job_that_is_skipped_is_recorded_and_logged(tmp_path: Path) -> None:
    """The log names each job that ends without an attempt, and the reason."""
    logged: list[tuple[int, str]] = []
    observer = SimpleNamespace(job_skipped=lambda *skipped: logged.append(skipped))
    parts = make_parts(ledger=make_ledger(tmp_path), observer=observer)
    run_virtual(lambda: skip(parts, [Skipped(seq=0, reason="it needs job-1")]))
    assert logged == [(0, "it needs job-1")]
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        assert [report.status for report in reader.reports()] == ["SKIPPED"]


@pytest.mark.parametrize(("status", "has_ended"), [("RUNNING", False), ("FAILED", True)])
def test_run_that_no_attempt_follows_is_asked_whether_it_has_ended(
    tmp_path: Path, status: str, *, has_ended: bool
) -> None:
    """The platform's answer decides, not what was known of the run before."""
    assert ask(tmp_path, is_ended, run_in(status)) is has_ended


def test_run_that_cannot_be_read_any_more_counts_as_ended(tmp_path: Path) -> None:
    """A run that was deleted holds no slot."""
    assert ask(tmp_path, is_ended, refused(404, "record-not-found"))


def test_one_refusal_does_not_end_a_run(tmp_path: Path) -> None:
    """After one refusal, the platform is asked for the run again."""
    unexpected = refused(404, "record-not-found")
    assert not ask(tmp_path, is_ended, unexpected, run_in("RUNNING"))
