from __future__ import annotations

from decimal import Decimal

from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.decide.feedback import Feedback
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.decide.usage import Usage

CLAIM = Claim(memory_mbytes=128, reserve_usd=Decimal(2))


def test_lost_run_counts_as_its_reservation() -> None:
    """Its cost cannot be known: its reservation counts as spent, and nothing stays reserved."""
    budget = Budget(Decimal(10), 120.0)
    usage = Usage(Limits(max_runs=1), budget)
    usage.take(CLAIM, 0.0)
    usage.release(CLAIM)
    Feedback(usage, JobQueue(), lambda: 0.5).run_lost(CLAIM)
    assert (budget.spent_usd, budget.reserved_usd) == (Decimal(2), Decimal(0))
