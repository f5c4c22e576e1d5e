"""Needs of many jobs: their check and their look-up cost a step for each job, not for each pair."""

from __future__ import annotations

from orchestrator.model.ids import JobKey
from orchestrator.specfile.jobs.needed_jobs import KeyIndex, NeedsCheck
from tests.support.builders import make_job

JOBS = 300


class CountedKey(str):
    """A key that counts how often it is compared without case."""

    __slots__ = ()
    lowered = 0

    def lower(self) -> str:
        """The key in lower case."""
        CountedKey.lowered += 1
        return super().lower()


def test_jobs_that_each_need_another_are_checked_in_one_pass() -> None:
    """A chain of jobs reads each key a few times, and not once for each other job."""
    check = NeedsCheck()
    for seq in range(JOBS):
        key = JobKey(CountedKey(f"Day-{seq}"))
        needs = (f"day-{seq - 1}",) if seq else ()
        check.add(make_job(seq, key=key, needs=needs), ("jobs", 0, "needs"))
    CountedKey.lowered = 0
    assert list(check.mistakes()) == []
    assert CountedKey.lowered <= 2 * JOBS


def test_cycle_names_only_jobs_that_are_in_it() -> None:
    """The message has the jobs of the cycle alone, not one that has the needs of one of them."""
    check = NeedsCheck()
    for seq, (key, needs) in enumerate([("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]):
        check.add(make_job(seq, key=JobKey(key), needs=(needs,)), ("jobs", seq, "needs"))
    [(place, message)] = check.mistakes()
    assert place == ("jobs", 0, "needs")
    assert message == "jobs need each other in a cycle: d needs b needs c needs d"


def test_patterns_match_without_case_and_keys_match_alone() -> None:
    """A pattern finds all of its keys in the order of the spec; a key finds itself or nothing."""
    index = KeyIndex(["Search-b", "search-a", "other"])
    assert list(index.matching(("SEARCH-*", "Other", "search"))) == [
        ("SEARCH-*", [0, 1]),
        ("Other", [2]),
        ("search", []),
    ]
