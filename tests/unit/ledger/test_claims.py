"""What the server of a shared ledger is told of a claim."""

from __future__ import annotations

from decimal import Decimal

import pytest

from orchestrator.ledger.claims import Share, share_values
from orchestrator.model.batches import FailureLimit


@pytest.mark.parametrize("percent", [7, 14, 28, 29, 57, 58])
def test_server_stops_at_exactly_the_share_of_failures(percent: int) -> None:
    """It multiplies, and the product of a share must not be more than the jobs that it means."""
    failures = FailureLimit(share=percent / 100)
    share = Share(
        memory_mbytes=128, pools=(), reserve_usd=Decimal(0), max_runs=1, max_memory_mbytes=None,
        max_cost_usd=None, failures=failures,
    )  # fmt: skip
    told = share_values(share)["failed_share"]
    for over in range(100, 1_000_000, 99_900):
        least = -(-percent * over // 100)
        assert least - 1 < told * over <= least
