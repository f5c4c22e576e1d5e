from __future__ import annotations

from collections import deque

import pytest

from orchestrator.apify.policy.rate_limits import FORGET_FROM, Pacer, Rate


class Server:
    """Refuses requests beyond its limit in any one second."""

    def __init__(self, per_sec: int) -> None:
        self._per_sec = per_sec
        self._seen: deque[float] = deque()

    def accepts(self, at: float) -> bool:
        while self._seen and self._seen[0] <= at - 1.0:
            self._seen.popleft()
        if len(self._seen) >= self._per_sec:
            return False
        self._seen.append(at)
        return True


def passing(pacer: Pacer, resource: str, rate: Rate, now: float) -> float:
    wait = pacer.lane(resource, rate, now).reserve(now, 1e9)
    assert wait is not None
    return now + wait + (pacer.account.reserve(now + wait) or 0.0)


def test_far_below_the_limit_nothing_waits() -> None:
    """Requests that are slower than the limit are sent at once."""
    pacer = Pacer()
    times = [number * 0.05 for number in range(100)]
    assert [passing(pacer, "run 1", Rate.DEFAULT, at) for at in times] == times


@pytest.mark.parametrize(
    ("rate", "per_sec"), [(Rate.DEFAULT, 60), (Rate.RECORDS, 200), (Rate.STARTS, 400)]
)
def test_published_rate_is_obeyed_in_every_second(rate: Rate, per_sec: int) -> None:
    """With any number of callers, no second has more requests than the platform allows."""
    pacer, server = Pacer(), Server(per_sec)
    assert all(server.accepts(passing(pacer, "it", rate, 0.0)) for _ in range(5000))


def test_resources_do_not_wait_for_each_other() -> None:
    """A busy dataset does not slow down another one."""
    pacer = Pacer()
    for _ in range(1000):
        pacer.lane("dataset 1", Rate.DEFAULT, 0.0).reserve(0.0, 1e9)
    assert passing(pacer, "dataset 2", Rate.DEFAULT, 0.0) == 0.0


def test_account_has_its_own_rate() -> None:
    """Thousands of resources together stay under the account's limit."""
    pacer = Pacer()
    last = [passing(pacer, f"run {number}", Rate.DEFAULT, 0.0) for number in range(10_000)][-1]
    assert 10_000 / last < 250_000 / 60


def test_impatient_request_takes_no_place() -> None:
    """A request that cannot wait so long leaves its place to others."""
    pacer = Pacer()
    lane = pacer.lane("it", Rate.DEFAULT, 0.0)
    while lane.reserve(0.0, 1e9) != pytest.approx(1.0, abs=0.02):
        pass
    before = lane.next_at
    assert lane.reserve(0.0, 0.5) is None
    assert lane.next_at == before


def test_limit_in_an_answer_is_used() -> None:
    """A limit in the platform's answers counts if it is below the published one."""
    pacer, server = Pacer(), Server(60)
    pacer.lane("it", Rate.STARTS, 0.0).learn("60")
    assert all(server.accepts(passing(pacer, "it", Rate.STARTS, 0.0)) for _ in range(1000))


@pytest.mark.parametrize("limit", ["5000", "0", "-1", "", "a lot"])
def test_invalid_limit_in_an_answer_is_ignored(limit: str) -> None:
    """A limit above the published one, or one that is not a number, is ignored."""
    lane = Pacer().lane("it", Rate.DEFAULT, 0.0)
    lane.learn(limit)
    assert lane.limit_per_sec == 60.0


def test_refused_resource_slows_down_and_recovers() -> None:
    """After a 429, a resource gets half as many requests; a minute later, as many as before."""
    pacer = Pacer()
    lane = pacer.lane("it", Rate.DEFAULT, 0.0)
    for _ in range(10):
        lane.refused(0.0, 0.0)
    assert lane.factor == 0.5
    assert passing(pacer, "it", Rate.DEFAULT, 120.0) == 120.0
    assert lane.factor == 1.0


def test_refusal_pauses_for_the_requested_time() -> None:
    """Retry-After holds for all callers of the resource."""
    pacer = Pacer()
    pacer.lane("it", Rate.DEFAULT, 0.0).refused(0.0, 30.0)
    assert passing(pacer, "it", Rate.DEFAULT, 1.0) >= 30.0


def test_slow_server_refuses_less_than_one_per_cent() -> None:
    """Of 5,000 requests to a server with an unknown limit of 60 a second, few are refused."""
    pacer, server = Pacer(), Server(60)
    now, refused, done = 0.0, 0, 0
    while done < 5000:
        lane = pacer.lane("it", Rate.DEFAULT, now)
        wait = lane.reserve(now, 1e9)
        assert wait is not None
        now += wait
        if server.accepts(now):
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
    """A slowed resource stays slow, also after requests to many others."""
    pacer = Pacer()
    lane = pacer.lane("slow", Rate.DEFAULT, 0.0)
    lane.refused(0.0, 0.0)
    for number in range(5 * FORGET_FROM):
        passing(pacer, f"run {number}", Rate.DEFAULT, 0.001 * number)
    assert pacer.lane("slow", Rate.DEFAULT, 5.0) is lane
