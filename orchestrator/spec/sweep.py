"""
A matrix of parameters to cells, in a stable order. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from math import prod

from pydantic import JsonValue

Number = int | float


def range_values(first: Number, last: Number, step: Number = 1) -> Sequence[Number]:
    """
    The numbers from `first` to `last`, both included, by `step`; empty when it leads away.

    Integers stay integers. Others are counted in decimals, so that 0.1 steps do not drift.
    """
    if all(isinstance(number, int) for number in (first, last, step)):
        stop = int(last) + (1 if step > 0 else -1)
        return range(int(first), stop, int(step))
    begin, end, by = (Decimal(str(number)) for number in (first, last, step))
    count = int((end - begin) / by) + 1 if (end - begin) * by >= 0 else 0
    return [float(begin + by * index) for index in range(count)]


def count_cells(matrix: Mapping[str, Sequence[JsonValue]]) -> int:
    """
    How many cells a matrix has; 1 without parameters.
    """
    return prod(len(values) for values in matrix.values())


def cells(matrix: Mapping[str, Sequence[JsonValue]]) -> Iterator[dict[str, JsonValue]]:
    """
    The cross product of a matrix: the first parameter changes slowest. One empty cell without any.
    """
    names = tuple(matrix)
    for values in product(*matrix.values()):
        yield dict(zip(names, values, strict=True))
