"""
JSON Schemas for items: checks a schema, and checks items by it.

It imports a large library, so other modules import it only if a spec has a schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from jsonschema_rs import ReferencingError, ValidationError, validator_for


def schema_mistake(schema: Mapping[str, Any]) -> str | None:
    """The mistake in a JSON Schema; None if it is valid."""
    try:
        validator_for(dict(schema), retriever=_refuse)
    except (ValidationError, ReferencingError, ValueError) as error:
        return str(getattr(error, "message", error)).splitlines()[0]
    return None


def misfit_finder(schema: Mapping[str, Any]) -> Callable[[Any], str | None]:
    """A function that returns the mistake of a value by a schema; None if it is valid."""
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
