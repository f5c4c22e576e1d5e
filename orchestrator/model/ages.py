"""Ages such as `24h` and `7d`."""

from __future__ import annotations

import re

SECS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def age_secs(text: str) -> float | None:
    """The seconds of an age; None if the text is not an age, or not longer than 0."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)([smhdw])", text)
    secs = 0.0 if found is None else float(found[1]) * SECS[found[2]]
    return secs or None
