from __future__ import annotations

import pytest

from orchestrator.errors import UsageError
from orchestrator.model.selection import parse_selection


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        (None, True),
        ("name:shop-*", True),
        ("name:SHOP-1", True),
        ("name:shop-2", False),
        ("status:failed", True),
        ("status:FAILED,tag:us", False),
        ("status:FAILED,tag:e?", True),
        ("name:nope tag:eu", True),
    ],
)
def test_selection_matches_by_comma_and_space(text: str | None, selected: bool) -> None:
    """A comma means and, a space means or; case does not matter."""
    assert parse_selection(text).matches("shop-1", "FAILED", ("EU",)) is selected


@pytest.mark.parametrize(
    "text", ["", " ", "shop", "key:x", "status:great", "tag:", ":x", "name:a,,"]
)
def test_word_that_is_not_a_condition_is_refused(text: str) -> None:
    """A word without a meaning is an error, not ignored."""
    with pytest.raises(UsageError):
        parse_selection(text)
