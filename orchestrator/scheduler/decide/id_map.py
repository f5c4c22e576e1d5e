"""
Numbers by ids, for the hundreds of thousands of runs of a batch. No clock, no I/O.

A dictionary takes 120 bytes for each id; this takes 25, and as long for a look-up of a million as
of a thousand. The first ones are in a dictionary, which is faster. Ids are compared by their 64-bit
hashes: that two of a million agree is less likely than 1 in 30 million.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Container

FULL = 16
"""A bucket has so many ids on average, before the next one is split."""

FEW = 1024
"""So many ids of a map are in a dictionary."""


class IdMap(Container[str]):
    """
    Numbers by ids; an id keeps its first number, and none is ever removed.

    It grows by one bucket at a time (linear hashing), so that no insertion takes long.

    Args:
        few: how many ids are in a dictionary.
    """

    __slots__ = ("_buckets", "_few", "_half", "_ids", "_most_few")

    def __init__(self, few: int = FEW) -> None:
        self._most_few = few
        # By hash; None when there are more.
        self._few: dict[int, int] | None = {}
        # Hash and number of each id, in turn; ~number, because the hash of an empty text is 0.
        self._buckets: list[array[int]] = [array("q")]
        # A power of two: the buckets before the last split of all of them.
        self._half = 1
        self._ids = 0

    def __len__(self) -> int:
        return self._ids if self._few is None else len(self._few)

    def __contains__(self, one: object) -> bool:
        sign = hash(one)
        return sign in (self._bucket(sign) if self._few is None else self._few)

    def get(self, one: str) -> int | None:
        """The number of an id; None when it is not there."""
        sign = hash(one)
        if self._few is not None:
            return self._few.get(sign)
        bucket = self._bucket(sign)
        return ~bucket[bucket.index(sign) + 1] if sign in bucket else None

    def add(self, one: str, number: int = 0) -> None:
        """Adds an id, unless it is there."""
        sign = hash(one)
        if self._few is not None:
            self._few.setdefault(sign, number)
            if len(self._few) > self._most_few:
                few, self._few = self._few, None
                for each, its_number in few.items():
                    self._put(each, its_number)
            return
        self._put(sign, number)

    def add_new(self, some: Collection[str]) -> list[str]:
        """Adds ids, which are all different; returns those that were not there."""
        few = self._few
        if few is None or len(few) + len(some) > self._most_few:
            new = [one for one in some if one not in self]
            for one in new:
                self.add(one)
            return new
        new = [one for one in some if hash(one) not in few]
        few.update(dict.fromkeys(map(hash, new), 0))
        return new

    def _put(self, sign: int, number: int) -> None:
        place = sign & (2 * self._half - 1)
        # As `_bucket`, without a call.
        bucket = self._buckets[place if place < len(self._buckets) else place - self._half]
        if sign in bucket:
            return
        bucket.append(sign)
        bucket.append(~number)
        self._ids += 1
        if self._ids > FULL * len(self._buckets):
            self._split()

    def _bucket(self, sign: int) -> array[int]:
        place = sign & (2 * self._half - 1)
        return self._buckets[place if place < len(self._buckets) else place - self._half]

    def _split(self) -> None:
        """Moves half of the next bucket into a new one."""
        place = len(self._buckets) - self._half
        pairs, stays, goes = self._buckets[place], array("q"), array("q")
        for first in range(0, len(pairs), 2):
            (goes if pairs[first] & self._half else stays).extend(pairs[first : first + 2])
        self._buckets[place] = stays
        self._buckets.append(goes)
        if len(self._buckets) == 2 * self._half:
            self._half *= 2
