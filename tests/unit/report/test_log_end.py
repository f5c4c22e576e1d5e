"""The end of a run's log."""

from __future__ import annotations

import pytest

from orchestrator.report.log_end import END_BYTES, kept_end, last_lines, traceback_end
from orchestrator.safe_text import SECRETS

PLAIN = """2026-11-26T02:00:00.000Z Traceback (most recent call last):
2026-11-26T02:00:00.000Z   File "main.py", line 3, in <module>
2026-11-26T02:00:00.000Z     main()
2026-11-26T02:00:00.000Z     ^^^^^^
2026-11-26T02:00:00.000Z ValueError: no price
2026-11-26T02:00:00.000Z bye
"""
INDENTED = """[apify] ERROR Actor failed with an exception
      Traceback (most recent call last):
        File "main.py", line 3, in main
          fetch()
      KeyError: 'price'
[apify] INFO  Exiting Actor
"""
CHAINED = """Traceback (most recent call last):
  File "a.py", line 1
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 1
RuntimeError: last
"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "a.py", line 1, in <module>
  | ExceptionGroup: unhandled errors (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "a.py", line 9, in task
    | ValueError: inner
    +------------------------------------
"""


@pytest.mark.parametrize(
    ("log", "end"),
    [
        (PLAIN, "ValueError: no price"),
        (INDENTED, "KeyError: 'price'"),
        (CHAINED, "RuntimeError: last"),
        (GROUP, "ValueError: inner"),
        ("all is well\n", None),
        ("Traceback (most recent call last):\n  File", None),
    ],
    ids=["plain", "indented", "chained", "group", "none", "cut off"],
)
def test_traceback_ends_with_its_exception(log: str, end: str | None) -> None:
    """The line that names the exception is found in every form in which Python prints it."""
    assert traceback_end(log) == end


def test_last_lines_have_text() -> None:
    """Empty lines and the platform's times are removed."""
    log = "one\n2026-11-26T02:00:00.000Z two\n\n2026-11-26T02:00:00Z three\nfour\n\n"
    assert last_lines(log) == ("two", "three", "four")


def test_kept_end_has_no_secrets_and_no_control_characters() -> None:
    """The ledger keeps the end of a log only in a form that can be shown."""
    SECRETS.add("hush-hush-1234")
    assert kept_end(b"key hush-hush-1234\n\x1b[31mred\x1b[0m\n") == "key [secret]\nred"


def test_kept_end_drops_a_line_that_begins_in_the_middle() -> None:
    """The first line may be the second half of a secret."""
    end = b"x" * END_BYTES + b"\nlast"
    assert kept_end(end[-END_BYTES:]) == "last"
