"""The paths and queries of requests."""

from __future__ import annotations

from datetime import datetime

import pytest

from orchestrator.apify.urls import instant, query, reference, segment
from orchestrator.errors import InputRejected


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("owner/name", "owner~name"),
        ("owner~name", "owner~name"),
        ("~name", "~name"),
        ("aB3", "aB3"),
        ("ä/b?c#d", "%C3%A4~b%3Fc%23d"),
    ],
)
def test_reference_stays_one_segment(name: str, path: str) -> None:
    """No name of an Actor leads to another path."""
    assert reference(name) == path


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_name_that_is_a_step_of_a_path_is_refused(name: str) -> None:
    """No request goes to a resource other than the named one."""
    with pytest.raises(InputRejected, match="cannot be"):
        segment(name)


def test_segment_keeps_the_characters_of_record_keys() -> None:
    """A record key needs no encoding, except characters that have a meaning in a URL."""
    assert segment("a-Z_0.9!'()") == "a-Z_0.9!'()"


def test_query_encodes_values() -> None:
    """Base64 and spaces survive in a URL."""
    assert query([("a", "x+/="), ("b", "c d")]) == "?a=x%2B%2F%3D&b=c%20d"


def test_instant_is_sent_in_utc() -> None:
    """A time of another zone is sent in UTC, with milliseconds."""
    at = datetime.fromisoformat("2026-01-01T00:00:00.1239+02:00")
    assert instant(at) == "2025-12-31T22:00:00.123Z"
