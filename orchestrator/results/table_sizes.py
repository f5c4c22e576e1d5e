"""How much of a table is read, sampled and kept in memory at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSizes:
    """
    The sizes that bound the memory of a merge.

    Attributes:
        most_rows: the rows that are read at once.
        most_cells: the values of those rows.
        most_keys: the keys of items in memory; with Python's overhead, some 50 MB. Further keys go
            to the disk.
        sampled_jobs: the jobs whose first items show the columns.
        sampled_bytes: of each such job.
    """

    most_rows: int = 16_384
    most_cells: int = 2_000_000
    most_keys: int = 500_000
    sampled_jobs: int = 200
    sampled_bytes: int = 32 * 1024


USUAL_SIZES = TableSizes()
