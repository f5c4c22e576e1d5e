from __future__ import annotations

from decimal import Decimal

import pytest

from orchestrator.errors import OrchestratorError
from orchestrator.model.batches import PoolLimits
from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.usage import Usage

SMALL = Claim(memory_mbytes=1024)


def test_claim_is_blocked_when_all_runs_are_taken() -> None:
    """A claim waits while the most runs allowed are live, with that reason."""
    usage = Usage(Limits(max_runs=1))
    usage.take(SMALL, 0.0)
    blocked = usage.blocked(SMALL, 0.0)
    assert blocked is not None
    assert blocked.reason == "1 of 1 runs are in progress"
    assert blocked.until is None


def test_claim_fits_again_when_a_slot_is_released() -> None:
    """A slot that was released can be taken again."""
    usage = Usage(Limits(max_runs=1))
    usage.take(SMALL, 0.0)
    usage.release(SMALL)
    assert usage.blocked(SMALL, 0.0) is None


def test_claim_is_blocked_when_it_would_exceed_the_memory() -> None:
    """Memory in use and the memory of a new run together stay within the limit."""
    usage = Usage(Limits(max_runs=9, max_memory_mbytes=2048))
    usage.take(Claim(memory_mbytes=1536), 0.0)
    blocked = usage.blocked(SMALL, 0.0)
    assert blocked is not None
    assert blocked.reason == "needs 1024 MB, and 1536 of 2048 MB are in use"


def test_pool_blocks_only_its_own_jobs() -> None:
    """A full pool blocks only its own jobs."""
    usage = Usage(Limits(max_runs=9, pools={"shop": PoolLimits(max_runs=1)}))
    in_pool = Claim(memory_mbytes=128, pools=("shop",))
    usage.take(in_pool, 0.0)
    assert usage.blocked(in_pool, 0.0) is not None
    assert usage.blocked(SMALL, 0.0) is None


def test_pool_allows_a_start_again_after_a_minute() -> None:
    """The limit counts the starts of the last 60 seconds, and the end of the wait is known."""
    usage = Usage(Limits(max_runs=9, pools={"shop": PoolLimits(starts_per_minute=1)}))
    claim = Claim(memory_mbytes=128, pools=("shop",))
    usage.take(claim, 10.0)
    usage.release(claim)
    blocked = usage.blocked(claim, 60.0)
    assert blocked is not None
    assert blocked.until == 70.0
    assert usage.blocked(claim, 70.0) is None


def test_usage_refuses_to_release_a_slot_twice() -> None:
    """To release what was not taken is a bug, and an error says so."""
    usage = Usage(Limits(max_runs=1))
    usage.take(SMALL, 0.0)
    usage.release(SMALL)
    with pytest.raises(OrchestratorError, match="released twice"):
        usage.release(SMALL)


def test_limits_refuse_a_claim_that_can_never_fit() -> None:
    """A job that is larger than the limit itself is refused with the reason."""
    limits = Limits(max_runs=1, max_memory_mbytes=1024)
    assert limits.refusal(Claim(memory_mbytes=2048)) == (
        "needs 2048 MB of memory, and at most 1024 MB may be in use at once"
    )
    assert limits.refusal(SMALL) is None


def test_run_of_an_earlier_process_counts_for_all_limits() -> None:
    """Runs of an earlier process count for runs, memory, pools and money until they end."""
    claim = Claim(memory_mbytes=1024, pools=("shop",), reserve_usd=Decimal("0.6"))
    pools = {"shop": PoolLimits(max_runs=1)}
    limits = Limits(max_runs=9, max_memory_mbytes=2048, pools=pools, max_cost_usd=Decimal(1))
    usage = Usage(limits, Budget(Decimal(1), 120.0))
    usage.hold(claim)
    for other, said in (
        (Claim(memory_mbytes=1536), "1024 of 2048 MB are in use"),
        (Claim(memory_mbytes=128, pools=("shop",)), "pool shop has 1 of 1 runs"),
        (Claim(memory_mbytes=128, reserve_usd=Decimal("0.6")), "$0.6000 are reserved"),
    ):
        blocked = usage.blocked(other, 0.0)
        assert blocked is not None
        assert said in blocked.reason
    usage.release(claim)
    assert usage.blocked(claim, 0.0) is None


@pytest.mark.parametrize("pool", [PoolLimits(max_runs=0), PoolLimits(starts_per_minute=0)])
def test_pool_that_allows_nothing_refuses_its_jobs_for_good(pool: PoolLimits) -> None:
    """A job that can never start is refused, and does not wait; one run at a time is enough."""
    claim = Claim(memory_mbytes=128, pools=("shop",))
    limits = Limits(max_runs=9, pools={"shop": pool})
    assert "allows no run at all" in (limits.refusal(claim) or "")
    one = PoolLimits(max_runs=1, starts_per_minute=1)
    assert Limits(max_runs=9, pools={"shop": one}).refusal(claim) is None


def test_share_of_memory_lets_one_run_start_that_needs_more() -> None:
    """A job that is larger than the share of its process would wait for ever."""
    usage = Usage(Limits(max_runs=9, max_memory_mbytes=4096))
    usage.others.most_mbytes = 1024
    large = Claim(memory_mbytes=2048)
    assert usage.blocked(large, 0.0) is None
    usage.take(large, 0.0)
    blocked = usage.blocked(Claim(memory_mbytes=128), 0.0)
    assert blocked is not None
    assert "their share of the memory" in blocked.reason
