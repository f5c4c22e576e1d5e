"""How `logs` shows a log on a terminal."""

from __future__ import annotations

import pytest

from orchestrator.report.log_text import LogText


def shown(data: bytes, size: int) -> str:
    """A log that arrives in pieces of a size."""
    log = LogText()
    pieces = [log.feed(data[start : start + size]) for start in range(0, len(data), size)]
    return "".join(pieces) + log.finish()


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("plain ü\n\ttext\n".encode(), "plain ü\n\ttext\n"),
        (b"\x1b[31mred\x1b[0m\n", "red\n"),
        (b"\x1b[2J\x1b[1;1Hcleared", "cleared"),
        (b"\x1b]0;title\x07after", "after"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred".encode(), "red"),
        (b"\x1bcreset", "reset"),
        (b"bell\x07back\x08", "bell?back?"),
        ("turned \u202e round \u2066".encode(), "turned ? round ?"),
        (b"one\r\ntwo\rthree", "one\ntwo\nthree"),
        (b"broken \xff", "broken \ufffd"),
        (b"ends \x1b[", "ends ?["),
        (b"ends \x1b]0;never\nnext\n", "ends ?]0;never\nnext\n"),
    ],
    ids=lambda value: repr(value)[:30] if isinstance(value, bytes) else "",
)
def test_log_cannot_control_a_terminal(data: bytes, text: str, size: int) -> None:
    """Colours and cursor movements are removed; other control characters are question marks."""
    assert shown(data, size) == text


def test_sequence_without_an_end_is_shown() -> None:
    """A log that begins a sequence without an end is shown, without the first character."""
    log = LogText()
    text = "".join(log.feed(b"\x1b]" + b"x" * 1000) for _ in range(20)) + log.finish()
    assert "\x1b" not in text
    assert text.count("x") == 20_000
