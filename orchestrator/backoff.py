"""How long to pause before a further try: the one rule for everything that is tried again."""

from __future__ import annotations

from math import inf

# `2.0 ** number` raises OverflowError from 1024 on, and no pause needs this many doublings.
MOST_DOUBLINGS = 30


def pause_secs(number: int, *, first_secs: float, longest_secs: float = inf) -> float:
    """
    The pause before a further try: it doubles from one try to the next.

    Args:
        number: of the pause, counted from 0.
    """
    return min(first_secs * 2.0 ** min(number, MOST_DOUBLINGS), longest_secs)
