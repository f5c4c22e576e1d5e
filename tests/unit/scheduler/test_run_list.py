from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

from orchestrator.apify import ApifyClient, models
from orchestrator.scheduler.run_list import RunListing
from tests.support.builders import NOON
from tests.support.virtual_time import run_virtual
from tests.support.whole_client import WholeClient

NAMES = [f"r{number}" for number in range(12)]


@dataclass
class FakeList(WholeClient):
    """Gives pages as a function of their offset."""

    page: Callable[[int], list[str]]
    total: Callable[[], int]
    reads: int = 0
    longest_page: int = 0

    async def list(self, *, offset: int, limit: int, **_given: Any) -> models.RunList:
        self.reads += 1
        self.longest_page = max(self.longest_page, limit)
        total = self.total()
        items = [{"id": name, "startedAt": NOON.isoformat()} for name in self.page(offset)]
        return models.RunList(total, list(map(models.Run, items)))


def names_of(platform: FakeList) -> tuple[list[str], bool]:
    found: list[str] = []
    listing = RunListing(cast("ApifyClient", platform), NOON)

    async def scenario() -> None:
        found.extend([item.id async for page in listing for item in page])

    run_virtual(scenario)
    return found, listing.is_whole


def doubled(offset: int) -> list[str]:
    """Pages of five rows, the first one twice."""
    page = NAMES[offset : offset + 4]
    return page[:1] + page


def overlapping(offset: int) -> list[str]:
    """Pages that begin two rows too early."""
    begin = max(0, offset - 2)
    return NAMES[begin : begin + 5]


@pytest.mark.parametrize("page", [lambda offset: NAMES[offset : offset + 5], doubled, overlapping])
def test_listing_gives_each_run_once(page: Callable[[int], list[str]]) -> None:
    """Repeated rows and pages that overlap hide no run."""
    found, is_whole = names_of(FakeList(page, lambda: len(NAMES)))
    assert sorted(found) == sorted(NAMES)
    assert is_whole


def test_listing_that_shifts_is_read_again() -> None:
    """If a run is deleted between two requests, another run moves to a page that was read."""
    names = list(NAMES)

    def page(offset: int) -> list[str]:
        found = names[offset : offset + 5]
        if "r1" in names:
            names.remove("r1")
        return found

    found, is_whole = names_of(FakeList(page, lambda: len(names)))
    assert set(found) == set(NAMES)
    assert is_whole


def test_listing_with_a_wrong_total_closes_when_nothing_is_new() -> None:
    """If a list claims more rows than it shows, it is read once more, and no longer."""
    platform = FakeList(lambda offset: NAMES[offset : offset + 5], lambda: 99)
    found, is_whole = names_of(platform)
    assert (sorted(found), is_whole) == (sorted(NAMES), True)
    assert platform.reads == 8


def test_listing_of_one_page_costs_one_request() -> None:
    """The usual case is not read twice."""
    platform = FakeList(lambda _offset: NAMES, lambda: len(NAMES))
    assert names_of(platform)[1]
    assert platform.reads == 1


def test_listing_requests_the_longest_pages_of_the_api() -> None:
    """The API gives a thousand runs at most; a longer page would be cut, or refused."""
    platform = FakeList(lambda offset: NAMES[offset : offset + 5], lambda: len(NAMES))
    names_of(platform)
    assert platform.longest_page == 1000
