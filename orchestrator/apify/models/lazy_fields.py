"""Fields of an answer that are converted on first use."""

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


class HasRaw(Protocol):
    """An object that keeps its JSON as it was received."""

    _raw: dict[str, Any]


class LazyField(Generic[T]):
    """
    A field of an object that keeps its JSON in `_raw`; None where it is missing.

    Args:
        name: the API's.
        read: converts the value; the field counts as missing when this fails.
    """

    __slots__ = ("_read", "name")

    def __init__(self, name: str, read: Callable[[Any], T]) -> None:
        self.name = name
        self._read = read

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...

    @overload
    def __get__(self, holder: HasRaw, owner: type) -> T | None: ...

    def __get__(self, holder: HasRaw | None, owner: type) -> Self | T | None:
        if holder is None:
            return self
        return found(holder._raw, self.name, self._read)  # noqa: SLF001 - what a descriptor is for


def found(raw: dict[str, Any], name: str, read: Callable[[Any], T]) -> T | None:
    """
    The field of an object, converted; None where it is missing.

    Args:
        name: the API's.
        read: converts the value; the field counts as missing when this fails.
    """
    value = raw.get(name)
    if value is None:
        return None
    try:
        return read(value)
    # One odd field must not hide the run, which costs money.
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
    # Nearly all numbers are whole already.
    if type(value) is int and -LARGEST <= value <= LARGEST:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if value != int(value) or abs(value) > LARGEST:
        raise ValueError
    return int(value)


def usd(value: Any) -> Decimal:
    """Money, exactly as the platform sent it."""
    # By its text: Decimal would take the binary value of a float, with all its digits.
    if len(digits := str(value)) > LONGEST_AMOUNT:
        raise ValueError
    amount = Decimal(digits)
    # Of what is not a number, the comparison itself is an error.
    if not -LARGEST_USD <= amount <= LARGEST_USD:
        raise ValueError
    return amount


def time(value: Any) -> datetime:
    """An instant in UTC; one without a zone counts as UTC."""
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
