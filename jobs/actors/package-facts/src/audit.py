"""
What there is to know of an installed distribution, read from its files alone.

Nothing of the audited code is imported or run, and nothing here knows the platform: `main` carries
the facts there.
"""

from __future__ import annotations

import ast
import importlib.metadata
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageMetadata
from pathlib import Path
from typing import Any

MOST_MODULES = 10_000
NOTHING_YET = {"modules": 0, "size_bytes": 0, "lines": 0, "functions": 0, "classes": 0}


class Refused(Exception):
    """The input asks for what is not there; the message says what to give instead."""


@dataclass(frozen=True)
class Wanted:
    """What the input asks for."""

    distribution: str
    max_modules: int = MOST_MODULES


def read_input(given: object) -> Wanted:
    """
    Check an input, which outside the platform nobody has held against the schema.

    Raises:
        Refused: it lacks the distribution, or a field has the wrong type.
    """
    fields = given if isinstance(given, Mapping) else {}
    name = fields.get("distribution")
    if not isinstance(name, str) or not name.strip():
        raise Refused('the input needs the name of a distribution: {"distribution": "apify"}')
    most = fields.get("maxModules", MOST_MODULES)
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise Refused(f'"maxModules" must be a whole number of at least 1, got {most!r}')
    return Wanted(name.strip(), most)


def find(name: str) -> Distribution:
    """
    Return the installed distribution of that name, in any of its spellings.

    Raises:
        Refused: none is installed; the message names those that are.
    """
    try:
        return importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError) as error:
        known = sorted({each.name for each in importlib.metadata.distributions()}, key=str.lower)
        raise Refused(
            f"no distribution {name!r} is installed here; there are: {', '.join(known)}"
        ) from error


def modules(distribution: Distribution) -> list[str]:
    """Return the paths of its Python files, relative to its installation, sorted."""
    files = distribution.files or []
    return sorted({str(file) for file in files if file.suffix == ".py" and ".." not in file.parts})


def module_facts(distribution: Distribution, path: str) -> dict[str, Any]:
    """
    Return the facts of one module: an item of the dataset.

    A module that cannot be read or parsed has an `error` in place of what it defines.
    """
    facts: dict[str, Any] = {
        "distribution": _metadata(distribution)["Name"],
        "module": path.removesuffix(".py").removesuffix("/__init__").replace("/", "."),
        "path": path,
        "size_bytes": 0,
        "lines": 0,
    }
    try:
        source = Path(str(distribution.locate_file(path))).read_bytes()
        facts |= {"size_bytes": len(source), "lines": len(source.splitlines())}
        return facts | definitions(source)
    except OSError as error:
        return facts | {"error": f"cannot be read: {error.strerror}"}
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return facts | {"error": f"cannot be parsed: {error or type(error).__name__}"}


def definitions(source: bytes) -> dict[str, Any]:
    """
    Count what a module defines at any depth.

    Raises:
        SyntaxError, ValueError: this Python cannot parse it.
        RecursionError, MemoryError: it is nested too deeply for the parser.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the audited code's own, such as odd escapes
        tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {
        "functions": len(functions),
        "async_functions": sum(isinstance(node, ast.AsyncFunctionDef) for node in functions),
        "classes": sum(isinstance(node, ast.ClassDef) for node in nodes),
        "imports": sorted(set(_imported(nodes))),
        "has_docstring": ast.get_docstring(tree) is not None,
    }


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Give the top-level packages that a module imports by their full names."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def add(totals: Mapping[str, int], items: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the totals with these items added; `modules` is the number of all items."""
    sums = {name: totals[name] + sum(item.get(name, 0) for item in items) for name in totals}
    return sums | {"modules": totals["modules"] + len(items)}


def distribution_facts(distribution: Distribution) -> dict[str, Any]:
    """Return the facts of the distribution as a whole."""
    return {
        "distribution": _metadata(distribution)["Name"],
        "version": _metadata(distribution)["Version"],
        "summary": _first(_told(distribution, "Summary")),
        "licence": _licence(distribution),
        "requires_python": _first(_told(distribution, "Requires-Python")),
        "dependencies": sorted(distribution.requires or []),
    }


def _licence(distribution: Distribution) -> str | None:
    """Return the licence from the field that is newest and best defined."""
    classifiers = _told(distribution, "Classifier")
    classified = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License")]
    return (
        _first(_told(distribution, "License-Expression"))
        or ", ".join(classified)
        or _first(_told(distribution, "License"))
    )


def _told(distribution: Distribution, field: str) -> list[str]:
    return _metadata(distribution).get_all(field) or []


@cache
def _metadata(distribution: Distribution) -> PackageMetadata:
    """Return the metadata, which the library would parse again for every field and module."""
    return distribution.metadata


def _first(values: Sequence[str]) -> str | None:
    return values[0] if values else None
