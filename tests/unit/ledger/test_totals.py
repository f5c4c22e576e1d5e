from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from orchestrator.ledger import Ledger, LedgerReader
from orchestrator.ledger.statistics import Totals
from orchestrator.ledger.store import SLICE_JOBS
from orchestrator.model.attempts import Outcome
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.rules import Remedy
from orchestrator.model.states import AttemptState, JobStatus
from tests.support.builders import NOON, make_job, make_ledger, make_run
from tests.support.virtual_time import run_virtual

FAILED = Outcome(status=JobStatus.FAILED, error="no")
LATER = NOON + timedelta(hours=1)

pytestmark = pytest.mark.usefixtures("each_store")


def totals_of(folder: Path) -> Totals:
    with LedgerReader(folder / "ledger.sqlite") as reader:
        return reader.totals()


async def run_once(
    ledger: Ledger, seq: int, number: int, cost: str | None, *, again: Remedy | None = None
) -> None:
    """An attempt whose run failed; another attempt follows if there is a remedy."""
    run = make_run(
        f"run{seq}-{number}", status="FAILED", cost_usd=None if cost is None else Decimal(cost)
    )
    attempt = await ledger.record_intent(seq, number, NOON)
    if attempt.remedy.resurrects is not None:
        run = run._replace(id=attempt.remedy.resurrects)
    await ledger.mark_started(attempt, run)
    await ledger.mark_finished(attempt, run, ended_at=NOON)
    if again is None:
        await ledger.mark_over(attempt, FAILED)
    else:
        await ledger.mark_over(attempt, FAILED, ready_at=0.5, remedy=again)


def test_total_cost_is_that_of_all_runs(tmp_path: Path) -> None:
    """Each run counts once: further attempts, orphan runs, and a resurrected run at the end."""
    ledger = make_ledger(tmp_path, make_job(0), make_job(1))

    async def scenario() -> None:
        await run_once(ledger, 0, 1, "0.10", again=Remedy())
        await run_once(ledger, 0, 2, "0.20")
        await run_once(ledger, 1, 1, "0.01", again=Remedy(resurrects=RunId("run1-1")))
        await run_once(ledger, 1, 2, "0.04")
        orphan = make_run("orphan", cost_usd=Decimal("1.00"))
        await ledger.record_orphan(Mark("mark123.0.1.1"), orphan, NOON)

    run_virtual(scenario)
    totals = totals_of(tmp_path)
    assert totals.cost_usd == Decimal("1.34")
    assert (totals.attempts, totals.runs) == (4, 3)


def test_unknown_cost_makes_the_total_provisional(tmp_path: Path) -> None:
    """A run without a cost leaves the total provisional until the platform reports it."""
    ledger = make_ledger(tmp_path, make_job(0), make_job(1))

    async def scenario() -> None:
        await run_once(ledger, 0, 1, "0.10")
        await run_once(ledger, 1, 1, None)

    run_virtual(scenario)
    totals = totals_of(tmp_path)
    assert (totals.cost_usd, totals.cost_is_provisional) == (Decimal("0.10"), True)
    run_virtual(
        lambda: ledger.record_costs(
            {RunId("run0-1"): Decimal("0.11"), RunId("run1-1"): Decimal("0.30")}, LATER
        )
    )
    totals = totals_of(tmp_path)
    assert (totals.cost_usd, totals.cost_is_provisional) == (Decimal("0.41"), False)


def test_answer_to_an_earlier_question_does_not_replace_a_cost(tmp_path: Path) -> None:
    """A slow answer may be recorded after one that shows more of the cost."""
    ledger = make_ledger(tmp_path, make_job(0))

    async def scenario() -> None:
        await run_once(ledger, 0, 1, None)
        for cost, asked_at in (("0.30", LATER), ("0.10", LATER - timedelta(seconds=3))):
            await ledger.record_costs({RunId("run0-1"): Decimal(cost)}, asked_at)

    run_virtual(scenario)
    assert totals_of(tmp_path).cost_usd == Decimal("0.30")


def test_costs_of_old_runs_become_final_in_all_parts_of_a_large_batch(tmp_path: Path) -> None:
    """A run that ended more than a day ago and is not listed any more keeps its cost."""
    places = (0, SLICE_JOBS - 1, SLICE_JOBS, 2 * SLICE_JOBS)
    ledger = make_ledger(tmp_path, *map(make_job, places))

    async def scenario() -> None:
        for seq in places:
            await run_once(ledger, seq, 1, "0.10")
        await ledger.record_costs({}, LATER + timedelta(days=2), are_all=True)

    run_virtual(scenario)
    totals = totals_of(tmp_path)
    assert (totals.cost_usd, totals.cost_is_provisional) == (Decimal("0.40"), False)


def test_resurrected_run_is_near_its_cap_once(tmp_path: Path) -> None:
    """The cap of its last attempt counts, and so does what all of them have cost together."""
    ledger = make_ledger(tmp_path, make_job(0))

    async def scenario() -> None:
        for number, cost in enumerate(("0.96", "1.97"), start=1):
            attempt = await ledger.record_intent(
                0, number, NOON, reserved_usd=Decimal(number), caps_itself=False
            )
            run = make_run("again", status="FAILED", cost_usd=Decimal(cost))
            await ledger.mark_started(attempt, run)
            await ledger.mark_finished(attempt, run)
            remedy = Remedy(resurrects=run.id)
            await ledger.mark_over(attempt, FAILED, ready_at=0.5, remedy=remedy)

    run_virtual(scenario)
    (near,) = totals_of(tmp_path).near_cap
    assert (near.cost_usd, near.cap_usd) == (Decimal("1.97"), Decimal(2))


def test_runs_that_are_not_collected_are_counted_from_the_first_end(tmp_path: Path) -> None:
    """None before a run has begun; then how many there are, and since when."""
    ledger = make_ledger(tmp_path, make_job(0), make_job(1))
    assert totals_of(tmp_path).uncollected is None

    async def scenario() -> None:
        for seq, end in enumerate((LATER, NOON)):
            run = make_run(f"run{seq}", finished_at=end)
            attempt = await ledger.record_intent(seq, 1, NOON)
            await ledger.mark_started(attempt, run)
            await ledger.mark_finished(attempt, run)

    run_virtual(scenario)
    uncollected = totals_of(tmp_path).uncollected
    assert uncollected is not None
    assert (uncollected.runs, uncollected.since) == (2, NOON)


def test_costs_of_runs_name_them_where_they_are_known(tmp_path: Path) -> None:
    """A lost start that may have had a run counts without an id, with its reservation."""
    ledger = make_ledger(tmp_path, make_job(0), make_job(1))

    async def scenario() -> None:
        await run_once(ledger, 0, 1, "0.10")
        lost = await ledger.record_intent(1, 1, NOON, reserved_usd=Decimal(2))
        await ledger.mark_unconfirmed(lost, "the answer was lost")
        await ledger.mark_over(lost, FAILED, state=AttemptState.LOST)

    run_virtual(scenario)
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        costs = [(one.run_id, one.cost_usd, one.reserved_usd) for one in reader.run_costs()]
    assert costs == [("run0-1", Decimal("0.10"), None), (None, None, Decimal(2))]
