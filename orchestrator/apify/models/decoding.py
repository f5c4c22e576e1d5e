"""Reads a model from the bytes of an answer, or says why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from orchestrator.apify import models
from orchestrator.apify.http.transport import Response
from orchestrator.apify.models.base import drop, is_word
from orchestrator.apify.models.lazy_fields import whole
from orchestrator.apify.policy.refusals import describe_page
from orchestrator.errors import ServerFault
from orchestrator.model.jobs import ItemsQuery

M = TypeVar("M", bound=BaseModel)


def reader_of(model: Callable[[], type[M]]) -> Callable[[bytes], M]:
    """
    A function that reads `{"data": <model>}`.

    The model is asked for at the first answer, so that no request waits until it is imported.

    It raises `ServerFault` when the body is not that. A field with an unexpected type counts
    as missing and does not make the whole answer unreadable: for a start that would cost the id of
    a run.
    """

    def read_or_say(body: bytes) -> M:
        try:
            found: M = _read(_envelope(model()), body)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ServerFault(
                f"the answer is JSON but not what the API promises: {place}: {first['msg']}"
            ) from None
        return found

    return read_or_say


# Pydantic forgets a class to which nothing refers, and to build it again takes long.
@cache
def _envelope(model: type[BaseModel]) -> type[models.Envelope[Any]]:
    return models.Envelope[model]  # type: ignore[valid-type]  # a class that is made here


def _read(envelope: type[models.Envelope[Any]], body: bytes) -> Any:
    try:
        # Pydantic parses the bytes itself; only an answer with a mistake is parsed a second time.
        return envelope.model_validate_json(body).data
    except ValidationError as error:
        return envelope.model_validate(_without_mistakes(body, error)).data


def read_run(body: bytes) -> models.Run:
    """
    Reads `{"data": <run>}`.

    Raises:
        ServerFault: the body is not that, or the run has no id.
    """
    run = _data_of(body)
    if not _has_id(run):
        raise ServerFault("the answer is JSON but not what the API promises: no run with an id")
    return models.Run(run)


def read_runs(body: bytes) -> models.RunList:
    """
    Reads `{"data": {"total": …, "items": [<run>, …]}}`.

    Raises:
        ServerFault: the body is not that, or a run has no id.
    """
    page = _data_of(body)
    items = page.get("items") if isinstance(page, dict) else None
    if not isinstance(items, list) or not all(map(_has_id, items)):
        raise ServerFault("the answer is JSON but not what the API promises: no runs in data.items")
    return models.RunList(whole(page.get("total")) or 0, list(map(models.Run, items)))


def _data_of(body: bytes) -> Any:
    try:
        answer = orjson.loads(body)
    except ValueError:
        raise ServerFault(f"the answer is {describe_page(body)}") from None
    return answer.get("data") if isinstance(answer, dict) else None


def _has_id(run: Any) -> bool:
    """Only the id is checked: without it, a run that costs money cannot be followed."""
    return isinstance(run, dict) and isinstance(run.get("id"), str) and is_word(run["id"])


def check_of_items(query: ItemsQuery) -> Callable[[Response], None] | None:
    """Raises `ServerFault` for an answer that cannot be items; None where every answer can."""
    return None if query.format == "html" else _refuse_page


def _refuse_page(response: Response) -> None:
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise ServerFault("an HTML page arrived instead of items, probably from a gateway")


def _without_mistakes(body: bytes, error: ValidationError) -> Any:
    """The parsed body without the values that did not fit."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        raise ServerFault(f"the answer is {describe_page(body)}") from None
    for mistake in error.errors(include_input=False, include_url=False):
        drop(answer, mistake["loc"])
    return answer
