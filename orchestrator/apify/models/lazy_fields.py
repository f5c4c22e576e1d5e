"""Fields of an answer that are converted on first use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Protocol, Self, TypeVar, cast, overload

from orchestrator.apify.models.base import (
    LARGEST,
    LARGEST_USD,
    WireModel,
    credible,
    read_leniently,
)

T = TypeVar("T")
M = TypeVar("M", bound=WireModel)

LONGEST_AMOUNT = 40
"""Characters of an amount of money."""


class HasRaw(Protocol):
    """An object that keeps its JSON as it was received."""

    _raw: dict[str, Any]


class LazyField(Generic[T]):
    """
    A field of an object that keeps its JSON in `_raw`; None where it is missing.

    Args:
        name: the API's.
        read: converts the value; the field counts as missing when this is None or fails.
    """

    __slots__ = ("_read", "name")

    def __init__(self, name: str, read: Callable[[Any], T | None]) -> None:
        self.name = name
        self._read = read

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...

    @overload
    def __get__(self, holder: HasRaw, owner: type) -> T | None: ...

    def __get__(self, holder: HasRaw | None, owner: type) -> Self | T | None:
        if holder is None:
            return self
        return found(holder._raw.get(self.name), self._read)  # noqa: SLF001 - what a descriptor is for


def found(value: Any, read: Callable[[Any], T | None]) -> T | None:
    """A value, converted; None where it is missing, or cannot be converted."""
    if value is None:
        return None
    try:
        return read(value)
    # One odd field must not hide the run, which costs money.
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        return None


def text(value: Any) -> str | None:
    """A string; None for anything else."""
    return value if isinstance(value, str) else None


def flag(value: Any) -> bool | None:
    """True or false; None for anything else."""
    return value if isinstance(value, bool) else None


def whole(value: Any) -> int | None:
    """A whole number that fits into 64 bits; None for anything else."""
    # Nearly all numbers are whole already.
    if type(value) is int:
        return value if -LARGEST <= value <= LARGEST else None
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST
    return int(value) if is_whole else None


def usd(value: Any) -> Decimal:
    """What something has cost, exactly as the platform sent it; below zero is no cost."""
    # By its text: Decimal would take the binary value of a float, with all its digits.
    if len(digits := str(value)) > LONGEST_AMOUNT:
        raise ValueError
    amount = Decimal(digits)
    # Of what is not a number, the comparison itself is an error.
    if not 0 <= amount <= LARGEST_USD:
        raise ValueError
    return amount


def time(value: Any) -> datetime:
    """An instant in UTC; one without a zone counts as UTC."""
    return credible(datetime.fromisoformat(value))


def counts(value: Any) -> dict[str, int]:
    """Whole numbers by name."""
    numbers = {name: whole(count) for name, count in value.items()}
    if None in numbers.values():
        raise ValueError
    return cast("dict[str, int]", numbers)


def part(model: type[M]) -> Callable[[Any], M]:
    """A nested object."""

    def read(value: Any) -> M:
        found = read_leniently(model, value)
        if found is None:
            raise ValueError
        return found

    return read


def parts(model: type[M]) -> Callable[[Any], list[M]]:
    """A list of nested objects; those that cannot be read are left out."""

    def read(value: Any) -> list[M]:
        found = (read_leniently(model, each) for each in value)
        return [each for each in found if each is not None]

    return read
