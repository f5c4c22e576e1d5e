from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from orchestrator.apify import ApifyClient, models
from orchestrator.errors import SecondCopy, ServerFault
from orchestrator.ledger import Ledger, LedgerReader
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.orphans import Orphans
from tests.support.builders import NOON, make_job, make_ledger, make_run, reopen_ledger
from tests.support.virtual_time import run_virtual
from tests.support.whole_client import WholeClient

LATE = Mark("mark123.0.1.1")


@dataclass
class FakePlatform(WholeClient):
    """Aborts runs, or fails to."""

    fails: int = 0
    aborted: list[str] = field(default_factory=list)

    def platform_now(self) -> None:
        return None

    async def abort(self, run_id: RunId) -> models.Run:
        if self.fails:
            self.fails -= 1
            raise ServerFault("away", method="POST", path="/abort")
        self.aborted.append(run_id)
        return models.Run(
            {
                "id": run_id,
                "status": "ABORTING",
                "startedAt": "2026-11-25T12:00:00.000Z",
                "defaultDatasetId": "d",
                "defaultKeyValueStoreId": "s",
            }
        )


class Observed:
    """Records the orphan runs that the scheduler reports."""

    def __init__(self) -> None:
        self.errors: list[str | None] = []

    def orphan_found(self, _mark: Mark, _run: object, error: str | None) -> None:
        self.errors.append(error)


def orphans_of(
    ledger: Ledger, platform: FakePlatform, observed: Observed, *, took_over: bool = False
) -> Orphans:
    orphans = Orphans(
        ledger=ledger,
        client=cast("ApifyClient", platform),
        observer=observed,  # type: ignore[arg-type] # only this is observed
        given_up={LATE: NOON},
        utc_now=lambda: NOON,
    )
    orphans.took_over_at = NOON if took_over else None
    return orphans


async def meet(orphans: Orphans, mark: Mark, run: Run) -> None:
    orphans.note(mark, run)
    await orphans.end_noted()


LIVE = make_run("late", status="RUNNING", finished_at=None)


def test_orphan_run_is_aborted_and_recorded(tmp_path: Path) -> None:
    """A late run is aborted once, and the ledger has it as an orphan."""
    platform, observed = FakePlatform(), Observed()

    async def scenario() -> None:
        orphans = orphans_of(make_ledger(tmp_path), platform, observed)
        await meet(orphans, LATE, LIVE)
        await meet(orphans, LATE, LIVE)

    run_virtual(scenario)
    assert (platform.aborted, observed.errors) == (["late"], [None])
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        (orphan,) = reader.totals().orphans
    assert (orphan.run_id, orphan.mark, orphan.status) == ("late", LATE, "ABORTING")


def test_orphan_run_that_ended_is_only_reported(tmp_path: Path) -> None:
    """A run that has ended needs no abort, but is reported."""
    platform, observed = FakePlatform(), Observed()
    orphans = orphans_of(make_ledger(tmp_path), platform, observed)
    run_virtual(lambda: meet(orphans, LATE, make_run("late")))
    assert platform.aborted == []
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        assert [orphan.status for orphan in reader.totals().orphans] == ["SUCCEEDED"]


def test_orphan_run_that_cannot_be_aborted_is_tried_again(tmp_path: Path) -> None:
    """If the platform fails to abort, the batch continues and the next search tries again."""
    platform, observed = FakePlatform(fails=1), Observed()

    async def scenario() -> None:
        orphans = orphans_of(make_ledger(tmp_path), platform, observed)
        await meet(orphans, LATE, LIVE)
        await meet(orphans, LATE, LIVE)

    run_virtual(scenario)
    assert platform.aborted == ["late"]
    assert [error is None for error in observed.errors] == [False, True]


def test_orphan_run_is_ended_by_the_next_process(tmp_path: Path) -> None:
    """A run that was recorded but not aborted before a crash is aborted by the next process."""
    platform = FakePlatform(fails=1)
    first = orphans_of(make_ledger(tmp_path), platform, Observed())
    run_virtual(lambda: meet(first, LATE, LIVE))
    later = orphans_of(reopen_ledger(tmp_path), platform, Observed())
    run_virtual(lambda: meet(later, LATE, LIVE))
    assert platform.aborted == ["late"]


def test_orphan_run_counts_in_the_budget(tmp_path: Path) -> None:
    """Its cost counts for the batch; until that is final, its highest possible cost counts."""
    orphans = orphans_of(make_ledger(tmp_path), FakePlatform(), Observed())

    async def scenario() -> None:
        await orphans._ledger.record_intent(0, 1, NOON, reserved_usd=Decimal(2))
        orphans.budget = Budget(Decimal(9), 120.0)
        await meet(orphans, LATE, make_run("late", cost_usd=Decimal("0.5")))

    run_virtual(scenario)
    assert orphans.budget is not None
    assert (orphans.budget.spent_usd, orphans.budget.reserved_usd) == (
        Decimal("0.5"),
        Decimal("1.5"),
    )


def test_run_of_another_process_is_adopted_by_the_attempt_that_it_names(tmp_path: Path) -> None:
    """A folder that was restored from a backup adopts the runs that started after the backup."""
    ledger = make_ledger(tmp_path)
    orphans = orphans_of(ledger, FakePlatform(), Observed())

    async def scenario() -> None:
        await meet(orphans, Mark("mark123.0.1.1abcd"), LIVE)
        assert [run.id for run in await orphans.adopt_runs()] == ["late"]
        (attempt,) = await ledger.take_over()
        assert (attempt.number, attempt.mark) == (1, "mark123.0.1.1abcd")
        assert attempt.run is not None

    run_virtual(scenario)


def test_run_that_waits_for_its_attempt_is_not_aborted(tmp_path: Path) -> None:
    """Each reading of the list shows the run, until its attempt begins."""
    platform = FakePlatform()
    orphans = orphans_of(make_ledger(tmp_path), platform, Observed())

    async def scenario() -> None:
        for _ in range(2):
            await meet(orphans, Mark("mark123.0.2.1abcd"), LIVE)

    run_virtual(scenario)
    assert platform.aborted == []


def test_run_of_another_process_waits_for_its_attempt(tmp_path: Path) -> None:
    """When the second attempt begins, it takes its existing run and sends no start."""
    ledger = make_ledger(tmp_path)
    orphans = orphans_of(ledger, FakePlatform(), Observed())

    async def scenario() -> None:
        await meet(orphans, Mark("mark123.0.2.1abcd"), make_run("second"))
        assert await orphans.adopt_runs() == []
        first = await ledger.record_intent(0, 1, NOON)
        assert orphans.adoptable_run_of(first) is None
        found = orphans.adoptable_run_of(replace(first, number=2))
        assert found is not None
        assert found.id == "second"

    run_virtual(scenario)


@pytest.mark.parametrize("is_taken", [True, False])
def test_claim_of_an_adoptable_run_is_released_once(tmp_path: Path, *, is_taken: bool) -> None:
    """Its claim is released when its attempt takes it, or when it is aborted."""
    ledger, platform = make_ledger(tmp_path), FakePlatform()
    orphans, usage = orphans_of(ledger, platform, Observed()), Usage(Limits(max_runs=1))
    orphans.adoptable.hold_in(usage, lambda _demand: Claim(memory_mbytes=512))

    async def scenario() -> None:
        await meet(orphans, Mark("mark123.0.2.1abcd"), LIVE)
        assert usage.runs == 1
        second = replace(await ledger.record_intent(0, 1, NOON), number=2)
        assert not is_taken or orphans.adoptable_run_of(second) is LIVE
        await orphans.end_adoptable()
        assert (usage.runs, usage.memory_mbytes) == (0, 0)

    run_virtual(scenario)
    assert platform.aborted == ([] if is_taken else ["late"])


def test_runs_of_another_process_are_aborted_job_by_job(tmp_path: Path) -> None:
    """When a job is settled, the run of its next attempt is aborted; those of others are not."""
    ledger, platform = make_ledger(tmp_path, make_job(0), make_job(1)), FakePlatform()
    orphans = orphans_of(ledger, platform, Observed())

    async def scenario() -> None:
        await meet(orphans, Mark("mark123.0.2.1abcd"), LIVE)
        await meet(orphans, Mark("mark123.1.2.1abcd"), LIVE._replace(id=RunId("other")))
        await orphans.end_adoptable(0)

    run_virtual(scenario)
    assert platform.aborted == ["late"]
    assert [place for place, _ in orphans.adoptable.in_order()] == [(1, 2)]


def test_run_of_another_process_is_aborted_if_its_attempt_has_a_run(tmp_path: Path) -> None:
    """If one attempt has two runs, the one that the ledger does not know is an orphan."""
    ledger, platform = make_ledger(tmp_path), FakePlatform()
    orphans = orphans_of(ledger, platform, Observed())

    async def scenario() -> None:
        await ledger.mark_started(await ledger.record_intent(0, 1, NOON), make_run("mine"))
        await meet(orphans, Mark("mark123.0.1.1abcd"), LIVE)

    run_virtual(scenario)
    assert platform.aborted == ["late"]


def test_run_of_an_open_intent_is_left_alone(tmp_path: Path) -> None:
    """The run of a start in flight is left alone, even if it is listed already."""
    ledger, platform = make_ledger(tmp_path), FakePlatform()
    orphans = orphans_of(ledger, platform, Observed())

    async def scenario() -> None:
        attempt = await ledger.record_intent(0, 1, NOON)
        await meet(orphans, attempt.mark, LIVE)
        await orphans.end_adoptable()

    run_virtual(scenario)
    assert platform.aborted == []


def test_one_late_run_of_another_process_does_not_stop_the_batch(tmp_path: Path) -> None:
    """A process that has just died may have sent one more start."""
    orphans = orphans_of(make_ledger(tmp_path), FakePlatform(), Observed(), took_over=True)
    run = make_run("theirs", started_at=NOON + timedelta(seconds=9))
    run_virtual(lambda: meet(orphans, Mark("mark123.0.1.1abcd"), run))


def test_second_copy_of_a_batch_stops_it(tmp_path: Path) -> None:
    """If unknown runs of this batch keep starting, two copies would pay for each job twice."""
    orphans = orphans_of(
        make_ledger(tmp_path, make_job(0), make_job(1)), FakePlatform(), Observed(), took_over=True
    )

    async def scenario() -> None:
        for seq in range(2):
            run = make_run(f"theirs{seq}", started_at=NOON + timedelta(seconds=9))
            await meet(orphans, Mark(f"mark123.{seq}.1.1abcd"), run)

    with pytest.raises(SecondCopy, match="another process works on a copy"):
        run_virtual(scenario)


def test_ledger_has_the_sends_that_were_given_up(tmp_path: Path) -> None:
    """Later processes know the mark of a send that was given up, and never use it again."""
    ledger = make_ledger(tmp_path, make_job(0), make_job(1))

    async def scenario() -> None:
        await ledger.record_intent(0, 1, NOON)
        attempt = await ledger.record_intent(1, 1, NOON, platform_at=NOON)
        await ledger.mark_unconfirmed(attempt, "lost")
        await ledger.give_up(attempt)
        await ledger.withdraw_intent(await ledger.send_again(attempt, NOON))
        assert (await ledger.record_intent(1, 1, NOON)).mark.startswith("mark123.1.1.2")
        with LedgerReader(tmp_path / "ledger.sqlite") as reader:
            assert reader.given_up() == {attempt.mark: NOON}

    run_virtual(scenario)


def test_runs_of_other_batches_are_left_alone(tmp_path: Path) -> None:
    """A run whose mark begins with another batch's mark belongs to that batch."""
    platform = FakePlatform()
    orphans = orphans_of(make_ledger(tmp_path), platform, Observed())

    async def scenario() -> None:
        await meet(orphans, Mark("other.0.1.1"), LIVE)
        await orphans.end_adoptable()

    run_virtual(scenario)
    assert platform.aborted == []
