from __future__ import annotations

import pytest

from orchestrator.model.whole_pairs import read_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (rb'"cut \ud83d"', "cut \ufffd"),
        (rb'"\uDE00 cut"', "\ufffd cut"),
        (rb'"\ud83d\ud83d\ude00\ude00"', "\ufffd😀\ufffd"),
        (rb'"\ud83d\\ude00"', "\ufffd\\ude00"),
        (
            rb'{"\ud83d": ["\\ud83d", "\u00e9", "\ud83d\""]}',
            {"\ufffd": ["\\ud83d", "é", '\ufffd"']},
        ),
    ],
)
def test_half_of_a_pair_is_replaced(text: bytes, value: object) -> None:
    """All other letters stay, also those that only look like an escape."""
    assert read_json(text) == value


def test_byte_order_mark_is_skipped() -> None:
    """A file has one at its start if its job asks for `bom`."""
    assert read_json(b'\xef\xbb\xbf{"a": "\xef\xbb\xbf"}') == {"a": "\ufeff"}


def test_what_is_not_json_is_refused() -> None:
    """Only halves of pairs are read against the rules."""
    with pytest.raises(ValueError, match="unexpected"):
        read_json(rb'{"a": NaN, "b": "\ud83d"}')
