"""What the text of a column means, and how a value is stored."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import orjson
from pydantic import TypeAdapter

from orchestrator.ledger.changed_ledger import reads_ledger
from orchestrator.model.attempts import OtherDataset
from orchestrator.model.batches import BatchPlan
from orchestrator.model.progress import Progress, Wait
from orchestrator.model.rules import NO_REMEDY, Remedy


@cache
def _datasets_adapter() -> TypeAdapter[tuple[OtherDataset, ...]]:
    return TypeAdapter(tuple[OtherDataset, ...])


@cache
def _plan_adapter() -> TypeAdapter[BatchPlan]:
    return TypeAdapter(BatchPlan)


@cache
def _remedy_adapter() -> TypeAdapter[Remedy]:
    return TypeAdapter(Remedy)


@reads_ledger
def remedy_of(text: str | None) -> Remedy:
    """The remedy of a `remedy` column."""
    return NO_REMEDY if text is None else _remedy_adapter().validate_json(text)


def remedy_text(remedy: Remedy) -> str | None:
    """A remedy as it is stored; None when it changes nothing."""
    if remedy == NO_REMEDY:
        return None
    return _remedy_adapter().dump_json(remedy, exclude_defaults=True).decode()


def datasets_text(datasets: tuple[OtherDataset, ...]) -> str | None:
    """Other datasets as they are stored; None when there are none."""
    if not datasets:
        return None
    return _datasets_adapter().dump_json(datasets, exclude_defaults=True).decode()


def datasets_from(text: str | None) -> tuple[OtherDataset, ...]:
    """The other datasets of a `datasets` column."""
    return () if text is None else _datasets_adapter().validate_json(text)


def instant(text: str | None) -> datetime | None:
    """A stored time as an aware UTC value."""
    return None if text is None else datetime.fromisoformat(text)


def stored(time: datetime | None) -> str | None:
    """A time as it is stored: ISO 8601 in UTC, so that text order is time order."""
    if time is None:
        return None
    # In a third of the time of `isoformat`.
    text = orjson.dumps(time if time.tzinfo is UTC else time.astimezone(UTC)).decode()
    # Without a fraction, orjson writes none.
    thousandths = text[20:24] if time.microsecond else ".000"
    return f"{text[1:20]}{thousandths}+00:00"


def plan_text(plan: BatchPlan) -> str:
    """A plan as it is stored."""
    return _plan_adapter().dump_json(plan).decode()


def packed(run_object: bytes) -> bytes:
    """A run as it is stored."""
    # The lowest level and a window of 4 KB: a run is small, and to clear the tables of the default
    # window takes six times as long as to compress it. One thread does it for all attempts.
    packer = zlib.compressobj(level=1, wbits=12, memLevel=5)
    return packer.compress(run_object) + packer.flush()


@cache
def _waits_adapter() -> TypeAdapter[list[Wait]]:
    return TypeAdapter(list[Wait])


def waits_text(waits: Sequence[Wait]) -> str:
    """Why jobs wait, as it is stored."""
    return _waits_adapter().dump_json(list(waits)).decode()


@reads_ledger
def waits_of(text: str) -> list[Wait]:
    """Why jobs wait, of a `waits` column."""
    return _waits_adapter().validate_json(text)


@cache
def _progress_adapter() -> TypeAdapter[Progress]:
    return TypeAdapter(Progress)


def progress_text(progress: Progress) -> str:
    """The figures of a live batch as they are stored."""
    # Not by the adapter, which takes long to build.
    return orjson.dumps(progress, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


@reads_ledger
def progress_of(text: str | None) -> Progress | None:
    """The figures of a `progress` column."""
    return None if text is None else _progress_adapter().validate_json(text)


def plan_from(text: str) -> BatchPlan:
    """The plan of a `plan` column."""
    return _plan_adapter().validate_json(text)
