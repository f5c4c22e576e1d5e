"""
What there is to know of an installed distribution, read from its files alone.
"""

from __future__ import annotations

import ast
import importlib.metadata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


class UnknownDistribution(Exception):
    """
    No distribution of that name is installed; the message names those that are.
    """


def find(name: str) -> importlib.metadata.Distribution:
    """
    The installed distribution of that name.
    """
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        known = sorted(d.name for d in importlib.metadata.distributions())
        raise UnknownDistribution(
            f"no distribution {name!r} is installed here; there are: {', '.join(known)}"
        ) from error


def modules(distribution: importlib.metadata.Distribution) -> list[str]:
    """
    The paths of its Python files, relative to where it is installed, in alphabetical order.
    """
    files = distribution.files or []
    return sorted(str(file) for file in files if file.suffix == ".py" and ".." not in file.parts)


def module_facts(distribution: importlib.metadata.Distribution, path: str) -> dict[str, Any]:
    """
    The facts of one module: what it defines and how long it is; an item of the dataset.

    A module that this Python cannot read has an `error` in place of what it defines.
    """
    file = Path(str(distribution.locate_file(path)))
    source = file.read_bytes()
    facts: dict[str, Any] = {
        "distribution": distribution.name,
        "module": path.removesuffix(".py").removesuffix("/__init__").replace("/", "."),
        "path": path,
        "size_bytes": len(source),
        "lines": source.count(b"\n"),
    }
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        return {**facts, "error": str(error)}
    nodes = list(ast.walk(tree))
    return {
        **facts,
        "functions": sum(isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in nodes),
        "classes": sum(isinstance(node, ast.ClassDef) for node in nodes),
        "has_docstring": ast.get_docstring(tree) is not None,
    }


def distribution_facts(
    distribution: importlib.metadata.Distribution, module_count: int
) -> dict[str, Any]:
    """
    The facts of the distribution as a whole; the output of a run.
    """
    told = distribution.metadata
    classifiers = told.get_all("Classifier") or []
    licences = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    return {
        "distribution": distribution.name,
        "version": distribution.version,
        "summary": told.get("Summary"),
        "licence": told.get("License-Expression") or ", ".join(licences) or told.get("License"),
        "requires_python": told.get("Requires-Python"),
        "dependencies": sorted(distribution.requires or []),
        "modules": module_count,
    }


def chunks(paths: Sequence[str], start: int, size: int) -> Iterator[tuple[int, Sequence[str]]]:
    """
    The paths from `start` on, in pieces, each with the index of its end.
    """
    for begin in range(start, len(paths), size):
        end = min(begin + size, len(paths))
        yield end, paths[begin:end]
