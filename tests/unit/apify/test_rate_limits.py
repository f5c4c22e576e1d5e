from __future__ import annotations

from collections import deque

import pytest

from orchestrator.apify.policy.rate_limits import FORGET_FROM, Pacer, Rate


class Server:
    """Refuses what is more than its limit in any one second."""

    def __init__(self, per_sec: int) -> None:
        self._per_sec = per_sec
        self._seen: deque[float] = deque()

    def takes(self, at: float) -> bool:
        while self._seen and self._seen[0] <= at - 1.0:
            self._seen.popleft()
        if len(self._seen) >= self._per_sec:
            return False
        self._seen.append(at)
        return True


def passing(pacer: Pacer, resource: str, rate: Rate, now: float) -> float:
    wait = pacer.reserve(pacer.lane(resource, rate, now), now, 1e9)
    assert wait is not None
    return now + wait + pacer.reserve_for_account(now + wait)


def test_far_below_the_limit_nothing_waits() -> None:
    """Requests that come more slowly than the limit are let through at once."""
    pacer = Pacer()
    times = [number * 0.05 for number in range(100)]
    assert [passing(pacer, "run 1", Rate.DEFAULT, at) for at in times] == times


@pytest.mark.parametrize(
    ("rate", "per_sec"), [(Rate.DEFAULT, 60), (Rate.RECORDS, 200), (Rate.STARTS, 400)]
)
def test_published_rate_is_kept_in_every_second(rate: Rate, per_sec: int) -> None:
    """However many ask at once, no second holds more requests than the platform allows."""
    pacer, server = Pacer(), Server(per_sec)
    assert all(server.takes(passing(pacer, "it", rate, 0.0)) for _ in range(5000))


def test_resources_do_not_wait_for_each_other() -> None:
    """A busy dataset does not slow down another one."""
    pacer = Pacer()
    for _ in range(1000):
        pacer.reserve(pacer.lane("dataset 1", Rate.DEFAULT, 0.0), 0.0, 1e9)
    assert passing(pacer, "dataset 2", Rate.DEFAULT, 0.0) == 0.0


def test_account_has_a_rate_of_its_own() -> None:
    """Thousands of resources together stay under the account's limit."""
    pacer = Pacer()
    last = [passing(pacer, f"run {number}", Rate.DEFAULT, 0.0) for number in range(10_000)][-1]
    assert 10_000 / last < 250_000 / 60


def test_impatient_request_takes_no_place() -> None:
    """A request that cannot wait so long leaves its place to others."""
    pacer = Pacer()
    lane = pacer.lane("it", Rate.DEFAULT, 0.0)
    while pacer.reserve(lane, 0.0, 1e9) != pytest.approx(1.0, abs=0.02):
        pass
    before = lane.next_at
    assert pacer.reserve(lane, 0.0, 0.5) is None
    assert lane.next_at == before


def test_told_limit_is_learnt() -> None:
    """A limit in the answers of the platform counts when it is below the published one."""
    pacer, server = Pacer(), Server(60)
    pacer.lane("it", Rate.STARTS, 0.0).learn("60")
    assert all(server.takes(passing(pacer, "it", Rate.STARTS, 0.0)) for _ in range(1000))


@pytest.mark.parametrize("told", ["5000", "0", "-1", "", "a lot"])
def test_told_nonsense_changes_nothing(told: str) -> None:
    """A limit that is higher than published, or no number, is passed over."""
    lane = Pacer().lane("it", Rate.DEFAULT, 0.0)
    lane.learn(told)
    assert lane.limit_per_sec == 60.0


def test_refusal_slows_the_resource_and_it_recovers() -> None:
    """After a 429 a resource is asked half as often, and a minute later as often as before."""
    pacer = Pacer()
    lane = pacer.lane("it", Rate.DEFAULT, 0.0)
    for _ in range(10):
        lane.refused(0.0, 0.0)
    assert lane.factor == 0.5
    assert passing(pacer, "it", Rate.DEFAULT, 120.0) == 120.0
    assert lane.factor == 1.0


def test_refusal_pauses_for_as_long_as_asked() -> None:
    """Retry-After holds for all that ask the resource."""
    pacer = Pacer()
    pacer.lane("it", Rate.DEFAULT, 0.0).refused(0.0, 30.0)
    assert passing(pacer, "it", Rate.DEFAULT, 1.0) >= 30.0


def test_slow_server_refuses_less_than_one_per_cent() -> None:
    """5,000 requests to a server that allows 60 a second without saying so meet few refusals."""
    pacer, server = Pacer(), Server(60)
    now, refused, done = 0.0, 0, 0
    while done < 5000:
        lane = pacer.lane("it", Rate.DEFAULT, now)
        wait = pacer.reserve(lane, now, 1e9)
        assert wait is not None
        now += wait
        if server.takes(now):
            done += 1
        else:
            refused += 1
            lane.refused(now, 0.0)
    assert refused < 50
    assert done / now > 50.0


def test_idle_resources_are_forgotten() -> None:
    """A batch of a million runs does not keep an entry for each."""
    pacer = Pacer()
    for number in range(100_000):
        passing(pacer, f"run {number}", Rate.DEFAULT, number * 0.01)
    assert len(pacer) <= 2 * FORGET_FROM


def test_slowed_resource_is_not_forgotten() -> None:
    """What was refused stays slow, also when many others were asked meanwhile."""
    pacer = Pacer()
    lane = pacer.lane("slow", Rate.DEFAULT, 0.0)
    lane.refused(0.0, 0.0)
    for number in range(5 * FORGET_FROM):
        passing(pacer, f"run {number}", Rate.DEFAULT, 0.001 * number)
    assert pacer.lane("slow", Rate.DEFAULT, 5.0) is lane
