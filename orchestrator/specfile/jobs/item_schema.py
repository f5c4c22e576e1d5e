"""
JSON Schemas that users write for their items: whether they are any, and what does not fit.

Imports a large library, and is itself imported by those who have such a schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from jsonschema_rs import ReferencingError, ValidationError, validator_for


def schema_mistake(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a JSON Schema; None when nothing is."""
    try:
        validator_for(dict(schema), retriever=_refuse)
    except (ValidationError, ReferencingError, ValueError) as error:
        return str(getattr(error, "message", error)).splitlines()[0]
    return None


def misfit_finder(schema: Mapping[str, Any]) -> Callable[[Any], str | None]:
    """A function that says what does not fit a schema in a value; None when all does."""
    validator = validator_for(dict(schema), retriever=_refuse)

    def misfit(value: Any) -> str | None:
        error = next(iter(validator.iter_errors(value)), None)
        if error is None:
            return None
        place = ".".join(map(str, error.instance_path))
        return f"{place}: {error.message}" if place else str(error.message)

    return misfit


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"a schema is not fetched from elsewhere: {uri}")
