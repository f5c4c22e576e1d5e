"""How a user writes a duration."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """
    Returns a duration such as `40s`, `2m`, `500ms` or `40` in seconds.

    Raises:
        ValueError: it is not a duration.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a duration like 40s or 2m, found {text!r}")
    return float(match[1]) * _UNITS[match[2]]
