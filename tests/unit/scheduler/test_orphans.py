from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from orchestrator.client import ApifyClient, wire
from orchestrator.errors import ServerFault
from orchestrator.ledger import LedgerReader
from orchestrator.model.ids import Mark, RunId
from orchestrator.scheduler.orphans import Orphans
from tests.support.builders import NOON, make_job, make_ledger, make_run, reopen_ledger
from tests.support.virtual_time import run_virtual

LATE = Mark("mark123.0.1.1")


@dataclass
class FakePlatform:
    """Aborts runs, or fails to."""

    fails: int = 0
    aborted: list[str] = field(default_factory=list)

    def platform_now(self) -> None:
        return None

    async def abort_run(self, run_id: RunId) -> wire.Run:
        if self.fails:
            self.fails -= 1
            raise ServerFault("away", method="POST", path="/abort")
        self.aborted.append(run_id)
        return wire.Run(
            {
                "id": run_id,
                "status": "ABORTING",
                "startedAt": "2026-11-25T12:00:00.000Z",
                "defaultDatasetId": "d",
                "defaultKeyValueStoreId": "s",
            }
        )


class Told:
    """Keeps what the scheduler tells."""

    def __init__(self) -> None:
        self.errors: list[str | None] = []

    def orphan_found(self, _mark: Mark, _run: object, error: str | None) -> None:
        self.errors.append(error)


def orphans_of(folder: Path, platform: FakePlatform, told: Told) -> Orphans:
    return Orphans(
        ledger=make_ledger(folder, make_job()),
        client=cast("ApifyClient", platform),
        observer=told,  # type: ignore[arg-type] # only this is told
        given_up={LATE: NOON},
        utc_now=lambda: NOON,
    )


def test_orphan_run_is_aborted_and_recorded(tmp_path: Path) -> None:
    """A late run is aborted once, and the ledger knows it as nobody's."""
    platform, told = FakePlatform(), Told()

    async def scenario() -> None:
        orphans = orphans_of(tmp_path, platform, told)
        assert orphans.is_new(LATE, RunId("late"))
        await orphans.end(LATE, make_run("late", status="RUNNING", finished_at=None))
        assert not orphans.is_new(LATE, RunId("late"))

    run_virtual(scenario)
    assert (platform.aborted, told.errors) == (["late"], [None])
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        (orphan,) = reader.totals().orphans
    assert (orphan.run_id, orphan.mark, orphan.status) == ("late", LATE, "ABORTING")


def test_orphan_run_that_ended_is_only_told(tmp_path: Path) -> None:
    """What has ended by itself needs no abort, but is reported."""
    platform, told = FakePlatform(), Told()
    run_virtual(lambda: orphans_of(tmp_path, platform, told).end(LATE, make_run("late")))
    assert platform.aborted == []
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        assert [orphan.status for orphan in reader.orphans()] == ["SUCCEEDED"]


def test_orphan_run_that_cannot_be_aborted_is_tried_again(tmp_path: Path) -> None:
    """A platform that fails to abort does not stop the batch; the next look tries once more."""
    platform, told = FakePlatform(fails=1), Told()

    async def scenario() -> None:
        orphans = orphans_of(tmp_path, platform, told)
        run = make_run("late", status="RUNNING", finished_at=None)
        await orphans.end(LATE, run)
        assert orphans.is_new(LATE, RunId("late"))
        await orphans.end(LATE, run)

    run_virtual(scenario)
    assert platform.aborted == ["late"]
    assert [error is None for error in told.errors] == [False, True]


def test_orphan_run_is_ended_by_the_next_process(tmp_path: Path) -> None:
    """What was recorded and not aborted when the process died is aborted by the next one."""
    platform = FakePlatform(fails=1)
    run = make_run("late", status="RUNNING", finished_at=None)
    run_virtual(lambda: orphans_of(tmp_path, platform, Told()).end(LATE, run))
    ledger = reopen_ledger(tmp_path)
    later = Orphans(
        ledger=ledger,
        client=cast("ApifyClient", platform),
        observer=Told(),  # type: ignore[arg-type] # only this is told
        given_up={LATE: NOON},
        utc_now=lambda: NOON,
    )
    assert later.is_new(LATE, run.id)
    run_virtual(lambda: later.end(LATE, run))
    assert platform.aborted == ["late"]


def test_ledger_tells_what_was_given_up(tmp_path: Path) -> None:
    """The mark of a send that was given up is told to later processes and never used again."""
    ledger = make_ledger(tmp_path, make_job(0), make_job(1))

    async def scenario() -> None:
        await ledger.intend(0, 1, NOON)
        attempt = await ledger.intend(1, 1, NOON)
        await ledger.unconfirmed(attempt, "lost")
        await ledger.give_up(attempt)
        await ledger.withdraw(await ledger.send_again(attempt, NOON))
        assert (await ledger.intend(1, 1, NOON)).mark.startswith("mark123.1.1.2")
        assert await reopen_ledger(tmp_path).given_up() == {attempt.mark: NOON}

    run_virtual(scenario)


def test_runs_of_other_marks_are_left_alone(tmp_path: Path) -> None:
    """Only sends that were given up make orphans: not those of others, nor of a later send."""
    orphans = orphans_of(tmp_path, FakePlatform(), Told())
    assert not orphans.is_new(Mark("mark123.0.1.2"), RunId("mine"))
    assert not orphans.is_new(Mark("other.0.1.1"), RunId("theirs"))
