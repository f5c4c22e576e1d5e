from __future__ import annotations

from orchestrator.scheduler.decide.capacity import Resource
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.usage import Usage

SMALL = Claim(memory_mbytes=1024)
LARGE = Claim(memory_mbytes=4096)


def usage_with(*claims: Claim) -> Usage:
    usage = Usage(Limits(max_runs=99))
    for claim in claims:
        usage.take(claim, 0.0)
    return usage


def until(usage: Usage, claim: Claim, now: float) -> float | None:
    blocked = usage.blocked(claim, now)
    return None if blocked is None else blocked.until


def refuse(usage: Usage, claim: Claim, resource: Resource, now: float) -> None:
    """A start for which the platform has no room."""
    usage.take(claim, now)
    usage.release(claim)
    usage.refused(resource, now, 0.5)


def test_refusal_holds_all_jobs_until_the_next_probe() -> None:
    """After one refusal, the runs in use are the estimate of what fits, until the next probe."""
    usage = usage_with(SMALL, SMALL)
    refuse(usage, SMALL, Resource.RUNS, 10.0)
    assert until(usage, SMALL, 10.0) == 12.0
    assert until(usage, LARGE, 11.9) == 12.0
    assert until(usage, SMALL, 12.0) is None


def test_run_that_ends_frees_its_slot_at_once() -> None:
    """The estimate limits concurrent runs, not starts."""
    usage = usage_with(SMALL, SMALL)
    refuse(usage, SMALL, Resource.RUNS, 10.0)
    usage.release(SMALL)
    assert usage.blocked(SMALL, 10.0) is None


def test_refused_probes_back_off() -> None:
    """The pause doubles, up to a minute."""
    usage, now, pauses = usage_with(SMALL), 0.0, []
    for _ in range(8):
        refuse(usage, SMALL, Resource.RUNS, now)
        probe_at = until(usage, SMALL, now)
        assert probe_at is not None
        pauses.append(probe_at - now)
        now = probe_at
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_concurrent_refusals_count_as_one() -> None:
    """Many starts in flight at once do not make the pause longer."""
    usage = usage_with(SMALL, SMALL, SMALL)
    for _ in range(2):
        usage.release(SMALL)
        usage.refused(Resource.RUNS, 0.0, 0.5)
    assert until(usage, SMALL, 0.0) == 2.0


def test_probe_that_succeeds_is_followed_by_one_more() -> None:
    """Probes go one at a time beyond the estimate, as long as they succeed."""
    usage = usage_with(SMALL)
    refuse(usage, SMALL, Resource.RUNS, 0.0)
    usage.take(SMALL, 2.0)
    assert until(usage, SMALL, 2.0) == 4.0
    usage.started(2.5)
    assert usage.blocked(SMALL, 2.5) is None
    assert usage.runs == 2


def test_lack_of_memory_does_not_block_smaller_runs() -> None:
    """A job that is too large for the free memory does not block smaller jobs that fit."""
    usage = usage_with(LARGE, SMALL)
    refuse(usage, LARGE, Resource.MEMORY, 0.0)
    usage.release(SMALL)
    assert usage.blocked(SMALL, 0.0) is None
    assert until(usage, LARGE, 0.0) == 2.0
