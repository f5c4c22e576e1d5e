"""A spec that is made in Python, checked as one that is read from a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError
from orchestrator.spec_mistake import Mistake
from orchestrator.specfile.load import LoadedSpec, checked_spec
from orchestrator.specfile.text.includes import Documents
from orchestrator.specfile.text.positions import Path as FieldPath
from orchestrator.specfile.text.positions import Place, shown_path
from orchestrator.specfile.text.syntax import Document

PYTHON = Path("<python>")
"""Stands in messages and in the ledger where the path of a spec is expected."""


@dataclass(frozen=True)
class _PythonDocument(Document):
    """The tables of a spec that no file has: a field has no line."""

    def find(self, path: FieldPath) -> Place | tuple[None, None]:  # noqa: ARG002
        """No line and no column."""
        return None, None


def python_spec(tables: Mapping[str, object]) -> LoadedSpec:
    """
    The spec with these tables; those that are None are left out.

    Raises:
        SpecError: with all mistakes that show before expansion.
    """
    data = plain_table({name: value for name, value in tables.items() if value is not None})
    source = json.dumps(data, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass")
    document = _PythonDocument(path=PYTHON, language="json", source=source, data=data)
    return checked_spec(PYTHON, Documents([document]))


def plain_table(table: Mapping[str, object], *path: str) -> dict[str, Any]:
    """
    A table of Python as JSON has it.

    Args:
        path: where it stands in a spec.

    Raises:
        SpecError: with each value that JSON cannot express.
    """
    mistakes: list[Mistake] = []
    plain: dict[str, Any] = _plain(table, path, mistakes)
    if mistakes:
        raise SpecError(mistakes)
    return plain


def _plain(value: object, path: FieldPath, mistakes: list[Mistake]) -> Any:
    """A value of Python as JSON has it; adds a mistake for one that JSON cannot express."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            # Also an enum of text, whose value JSON would not have.
            return str.__str__(value)
        case Decimal() if value.is_finite():
            return int(value) if value == value.to_integral_value() else float(value)
        case date() | time():
            return value.isoformat()
        case PathLike():
            return fspath(value)
        case Mapping():
            return {
                str(name): _plain(inner, (*path, str(name)), mistakes)
                for name, inner in value.items()
            }
        case list() | tuple() | range():
            return _plain_list(value, path, mistakes)
    message = f"expected a value that JSON has, found {type(value).__name__}"
    if type(value).__name__ in ("SecretStr", "SecretBytes"):
        message = "a secret would be stored in files: write {{ env.NAME }}"
    mistakes.append(Mistake(file=str(PYTHON), field=shown_path(path), message=message))
    return None


def _plain_list(values: Iterable[object], path: FieldPath, mistakes: list[Mistake]) -> list[Any]:
    return [_plain(value, (*path, index), mistakes) for index, value in enumerate(values)]
