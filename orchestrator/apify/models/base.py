"""
What all models of the API's answers have in common.

They are lenient: a field that is missing is None, one that is unknown is kept, and one whose value
has a shape nobody foresaw is treated as missing, so that a newer platform does not break an older
client. Closed sets of words are plain strings for the same reason.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from orchestrator import events

T = TypeVar("T")
M = TypeVar("M", bound="WireModel")


def _tell_time(value: datetime) -> str:
    in_utc = value.astimezone(UTC)
    return in_utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


LARGEST = 2**63 - 1
"""Larger numbers fit into no database; a field that holds one counts as missing."""

LARGEST_USD = Decimal(10) ** 12
CREDIBLE_YEARS = range(1970, 2200)
"""Sums with a time outside them could overflow."""


def credible(at: datetime) -> datetime:
    """
    An instant in UTC, where no zone is told in that zone.

    Raises:
        ValueError: it is further away than any that the platform knows.
    """
    try:
        in_utc = at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("an instant that no calendar has") from None
    if in_utc.year not in CREDIBLE_YEARS:
        raise ValueError("an instant far from now")
    return in_utc


Usd = Annotated[
    Decimal,
    Field(ge=-LARGEST_USD, le=LARGEST_USD, allow_inf_nan=False),
    PlainSerializer(float, return_type=float, when_used="json"),
]
"""Money in US dollars, exact as it was told; a JSON number on the way out."""

Time = Annotated[
    datetime,
    AfterValidator(credible),
    PlainSerializer(_tell_time, return_type=str, when_used="json"),
]
"""An instant, aware; the API tells milliseconds in UTC."""

LONGEST_WORD = 200


def is_word(text: str) -> bool:
    """
    Whether a text can be an id or a status: short, and without anything that cannot be printed.
    """
    return 0 < len(text) <= LONGEST_WORD and text.isprintable()


def _word(text: str) -> str:
    if not is_word(text):
        raise ValueError("not an id or a status")
    return text


Word = Annotated[str, AfterValidator(_word)]
"""An id or a status."""

Whole = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
"""A whole number."""

Number = Whole | Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
"""A measured quantity: whole where the platform tells a whole number."""


class WireModel(BaseModel):
    """
    A part of an answer: snake_case names, the API's camelCase as aliases, unknown fields kept.
    """

    model_config = ConfigDict(
        extra="allow",
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        protected_namespaces=(),
        # Most commands need few of the models, and building all takes longer than they run.
        defer_build=True,
    )

    def to_json(self) -> bytes:
        """The object as the API tells it, unknown fields included; only what was told."""
        return self.model_dump_json(by_alias=True, exclude_unset=True).encode()


def read_leniently(model: type[M], value: Any) -> M | None:
    """
    Reads an object, leaving out the fields that have a shape nobody foresaw.

    Returns:
        None when it cannot be read even so.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for mistake in error.errors(include_input=False, include_url=False):
            drop(value, mistake["loc"])
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


def drop(answer: Any, place: tuple[int | str, ...]) -> None:
    """Removes the field at a place of a parsed answer; of a list, the field that holds it."""
    holder: Any = None
    field = ""
    at = answer
    for step in place:
        if isinstance(at, dict) and step in at:
            holder, field, at = at, str(step), at[step]
        elif isinstance(at, list) and isinstance(step, int) and step < len(at):
            at = at[step]
        else:
            break
    if holder is not None and field != "data":
        events.warning("answer_field_unreadable", field=".".join(map(str, place)))
        holder.pop(field, None)


class Envelope(WireModel, Generic[T]):
    """`{"data": …}`, the wrapping of every answer that is not raw data."""

    data: T


class Page(WireModel, Generic[T]):
    """
    One page of a list.

    Attributes:
        total: how many there are in all pages.
        offset: how many were skipped before this page.
        limit: the most that a page of this request holds; the platform may lower what was asked.
        count: how many this page holds.
        desc: whether the newest come first.
        unnamed: whether unnamed storages are listed too; only in lists of storages.
    """

    total: Whole = 0
    offset: Whole = 0
    limit: Whole = 0
    count: Whole = 0
    desc: bool = False
    unnamed: bool | None = None
    items: list[T]
