"""Which part of a batch a process begins with, when several work on it."""

from __future__ import annotations

from dataclasses import dataclass

OF_OTHERS = 2**40
"""Added to the rank of a job that another shard begins with: it comes after all of one's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """
    One of several shards. It says with which jobs a process begins, and nothing else.

    Attributes:
        number: from 1.
        of: how many there are.
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def rank_offset(self, home: int) -> int:
        """What is added to the rank of a job, by the hash of its key."""
        return 0 if home % self.of == self.number - 1 else OF_OTHERS
