"""
What all models of the API's answers have in common.

They hold the fields that the orchestrator reads. They are lenient: a field that is missing is None,
an unknown one is ignored, and one whose value has an unexpected type counts as missing. So a newer
platform does not break an older client. Closed sets of words are plain strings for the same reason.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from orchestrator.event_log import LOG

T = TypeVar("T")
M = TypeVar("M", bound="WireModel")

LARGEST = 2**63 - 1
"""Larger numbers fit into no database; a field that holds one counts as missing."""

LARGEST_USD = Decimal(10) ** 12
CREDIBLE_YEARS = range(1970, 2200)
"""Arithmetic with a time outside them could overflow."""


def credible(at: datetime) -> datetime:
    """
    An instant in UTC; one without a zone counts as UTC.

    Raises:
        ValueError: its year is outside `CREDIBLE_YEARS`.
    """
    try:
        in_utc = at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("an instant that no calendar has") from None
    if in_utc.year not in CREDIBLE_YEARS:
        raise ValueError("an instant far from now")
    return in_utc


Usd = Annotated[Decimal, Field(ge=-LARGEST_USD, le=LARGEST_USD, allow_inf_nan=False)]
"""Money in US dollars, exactly as the platform sent it."""

Time = Annotated[datetime, AfterValidator(credible)]
"""An instant, aware; the API sends milliseconds in UTC."""

LONGEST_WORD = 200


def is_word(text: str) -> bool:
    """Whether a text can be an id or a status: short, and printable."""
    return 0 < len(text) <= LONGEST_WORD and text.isprintable()


PRINTABLE = r"^(?:[^\p{C}\p{Z}]| )+$"
Word = Annotated[str, Field(min_length=1, max_length=LONGEST_WORD, pattern=PRINTABLE)]
"""An id or a status, as `is_word`, without a call: the rows of a long list have several each."""

Whole = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
"""A whole number."""

Number = Whole | Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
"""A measured quantity: whole where the platform sends a whole number."""


class WireModel(BaseModel):
    """A part of an answer: snake_case names, the API's camelCase as aliases."""

    model_config = ConfigDict(
        # Ignored, not kept: an unknown field may be a secret, and `repr` shows what is kept.
        extra="ignore",
        alias_generator=to_camel,
        frozen=True,
        protected_namespaces=(),
        # Most commands need few of the models, and building all takes longer than they run.
        defer_build=True,
    )


def read_leniently(model: type[M], value: Any) -> M | None:
    """
    Reads an object without the fields that have an unexpected type.

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
    # An answer without `data` is no answer; its reader reports that.
    if holder is not None and field != "data":
        LOG.warning("answer_field_unreadable", field=".".join(map(str, place)))
        holder.pop(field, None)


class Envelope(WireModel, Generic[T]):
    """`{"data": …}`, the wrapping of every answer that is not raw data."""

    data: T


class Page(WireModel, Generic[T]):
    """
    One page of a list.

    Attributes:
        total: how many there are in all pages.
        count: how many this page holds.
    """

    total: Whole = 0
    count: Whole = 0
    items: list[T]
