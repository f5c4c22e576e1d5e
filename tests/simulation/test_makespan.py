"""How well admission fills the account, on virtual time."""

from __future__ import annotations

import pytest

from bench.makespan import first_come, jobs_of, ours, play


@pytest.mark.parametrize("seed", range(8))
def test_account_is_filled_within_five_per_cent_of_the_lower_bound(seed: int) -> None:
    """A thousand jobs of mixed length and memory end almost as early as possible."""
    jobs = jobs_of(seed)
    outcome = play(jobs, ours)
    assert outcome.ratio < 1.05
    assert outcome.makespan_secs < play(jobs, first_come).makespan_secs


def test_first_batch_is_better_than_the_order_of_the_spec() -> None:
    """Even if no durations are known, smaller jobs fill the gaps."""
    jobs = jobs_of(1, has_history=False)
    assert play(jobs, ours).makespan_secs < play(jobs, first_come).makespan_secs
