"""Values of the command line: each function parses one text for argparse."""

from __future__ import annotations

import argparse
from contextlib import suppress
from datetime import date, datetime, timedelta
from math import inf
from pathlib import Path

from orchestrator.model.ages import age_secs
from orchestrator.model.selection import parse_selection

DAY_LENGTH = len("2026-11-25")
MOST_DIGITS = 18
"""Each number of so many digits fits into 64 bits."""


def selection_text(text: str) -> str:
    """
    Checks a selection, for argparse.

    Raises:
        UsageError: the text is not a valid selection.
    """
    parse_selection(text)
    return text


def given_path(text: str) -> Path:
    """A path, for argparse; refuses an empty one, which an unset variable gives."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a path, found nothing")
    return Path(text)


def absolute_path(text: str) -> Path:
    """A path, made absolute, for argparse."""
    return given_path(text).absolute()


def positive(text: str) -> int:
    """A number from 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, found {text!r}")
    if len(text) > MOST_DIGITS:
        raise argparse.ArgumentTypeError("the number does not fit into 64 bits")
    return int(text)


def age(text: str) -> timedelta:
    """An age such as `24h` or `7d`, for argparse."""
    secs = age_secs(text)
    if secs is None:
        raise argparse.ArgumentTypeError(
            f"expected an age such as 24h or 7d (s, m, h, d, w), found {text!r}"
        )
    return timedelta(seconds=secs)


def one_day(text: str) -> date:
    """A day such as `2026-11-25`, for argparse."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day as 2026-11-25, found {text!r}") from None


def day_or_time(text: str) -> date:
    """A day, or a time such as `2026-11-25T02:15` or with an offset, for argparse."""
    try:
        # By the length: `datetime.fromisoformat` would take a day for its midnight.
        return date.fromisoformat(text) if len(text) <= DAY_LENGTH else datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a day as 2026-11-25 or a time as 2026-11-25T02:15, found {text!r}"
        ) from None


def span_of_days(text: str) -> list[date]:
    """All days of `A..B`, for argparse."""
    first, dots, last = text.partition("..")
    if not dots:
        raise argparse.ArgumentTypeError(f"expected two days as A..B, found {text!r}")
    begin, end = one_day(first), one_day(last)
    if end < begin:
        raise argparse.ArgumentTypeError(f"{last} is before {first}")
    return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]


def pair(text: str) -> tuple[str, str]:
    """`NAME=VALUE` as a pair, for argparse."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, found {text!r}")
    return name, value


def count(text: str) -> int:
    """A number from 0, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number from 0, found {text!r}")
    return int(text)


def days(text: str) -> float:
    """A number of days from 0, for argparse."""
    with suppress(ValueError):
        # `float` also reads `nan` and `inf`.
        if 0 <= float(text) < inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number of days from 0, found {text!r}")


def run_id(text: str) -> str:
    """The id of a run, or its address in the Console or the API, for argparse."""
    # Its patterns are needed by few options.
    from orchestrator.specfile.resource_addresses import is_address, run_at

    found = run_at(text) if is_address(text) else text
    if found is None:
        raise argparse.ArgumentTypeError(f"expected the id or address of a run, found {text!r}")
    return found


def task_name(text: str) -> str:
    """The id or name of a task, or its address in the Console or the API, for argparse."""
    from orchestrator.specfile.resource_addresses import is_address, resource_at

    found = resource_at(text) if is_address(text) else ("task", text)
    if found is None or found[0] != "task":
        raise argparse.ArgumentTypeError(
            f"expected the id, name or address of a task, found {text!r}"
        )
    return found[1]


def cron_text(text: str) -> str:
    """Cron notation, for argparse."""
    # CronSim is needed by this option only.
    from orchestrator.model.schedule import check_schedule

    try:
        check_schedule(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
