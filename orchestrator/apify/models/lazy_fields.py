"""Fields of an answer that are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Protocol, Self, TypeVar, overload

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


class HasTold(Protocol):
    """An object that keeps what it was told."""

    _told: dict[str, Any]


class Told(Generic[T]):
    """
    A field of an object that keeps the JSON it was told in `_told`; None where it was not told.

    Args:
        name: the API's.
        read: makes the value; whatever it raises, the field counts as not told.
    """

    __slots__ = ("_read", "name")

    def __init__(self, name: str, read: Callable[[Any], T]) -> None:
        self.name = name
        self._read = read

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...

    @overload
    def __get__(self, holder: HasTold, owner: type) -> T | None: ...

    def __get__(self, holder: HasTold | None, owner: type) -> Self | T | None:
        if holder is None:
            return self
        value = holder._told.get(self.name)  # noqa: SLF001 - what a descriptor is for
        if value is None:
            return None
        try:
            return self._read(value)
        except (TypeError, ValueError, ArithmeticError, AttributeError):
            return None


def text(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise TypeError
    return value


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise TypeError
    return value


def whole(value: Any) -> int:
    """A whole number that fits into 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if value != int(value) or abs(value) > LARGEST:
        raise ValueError
    return int(value)


def usd(value: Any) -> Decimal:
    """Money, exact as it was told."""
    if len(told := str(value)) > LONGEST_AMOUNT:
        raise ValueError
    amount = Decimal(told)
    if not amount.is_finite() or abs(amount) > LARGEST_USD:
        raise ValueError
    return amount


def time(value: Any) -> datetime:
    """An instant in UTC, where no zone is told in that zone."""
    return credible(datetime.fromisoformat(value))


def counts(value: Any) -> dict[str, int]:
    """Whole numbers by name."""
    return {name: whole(count) for name, count in value.items()}


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
