"""How many processes may run at once."""

from __future__ import annotations

from collections import defaultdict
from functools import partial

import anyio


class ProcessSlots:
    """
    Slots for processes, as many for each level of runs that start runs.

    A run that waits for the end of a run that it has started keeps its slot meanwhile. If both
    needed one of the same slots, such runs could have all of them, and wait for ever.
    """

    def __init__(self, count: int) -> None:
        self._of_level = defaultdict[int, anyio.CapacityLimiter](
            partial(anyio.CapacityLimiter, count)
        )

    def of_level(self, level: int) -> anyio.CapacityLimiter:
        """Returns the slots of runs that so many active runs began, one through the other."""
        return self._of_level[level]
