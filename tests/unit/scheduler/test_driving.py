from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.model.ids import RunId
from orchestrator.scheduler.attempt import Driver
from tests.support.builders import NOON, make_ledger
from tests.support.scripted_transport import ScriptedTransport, client_of, refused, run_reply
from tests.support.virtual_time import run_virtual

RUN = RunId("run1")


def costs_of(folder: Path, *answers: Any) -> dict[RunId, Decimal | None]:
    """What a driver finds that a run has cost, from these answers of the platform."""

    async def scenario() -> dict[RunId, Decimal | None]:
        async with client_of(ScriptedTransport(*answers)) as client:
            parts: dict[str, Any] = dict.fromkeys(
                ("starter", "follower", "collector", "acceptance", "observer")
            )
            driver = Driver(
                ledger=make_ledger(folder),
                client=client,
                utc_now=lambda: NOON,
                chance=lambda: 0.5,
                away_secs=60.0,
                **parts,
            )
            return await driver.settle_costs([RUN])

    return run_virtual(scenario)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_final_cost_is_asked_for_again_after_an_odd_refusal(tmp_path: Path, status: int) -> None:
    """One odd answer does not let the reservation of an ended run count for good."""
    told = run_reply(usageTotalUsd=0.2)
    assert costs_of(tmp_path, refused(status, "not-known-yet"), told) == {RUN: Decimal("0.2")}


def test_final_cost_that_stays_refused_is_not_known(tmp_path: Path) -> None:
    """A run that nobody may read any more keeps what counted for it."""
    assert costs_of(tmp_path, refused(404, "record-not-found")) == {RUN: None}
