"""
The descriptions of the models' fields: the texts below them in the source.

Pydantic can read them itself, but would do so at each start. Only the reference and the JSON Schema
need them.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache

from pydantic import BaseModel


def descriptions_of(model: type[BaseModel]) -> dict[str, str]:
    """The description of each field that has one, its lines joined; inherited fields too."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        found |= _in_module(kind.__module__).get(kind.__name__, {})
    return {
        field.alias or name: found[name]
        for name, field in model.model_fields.items()
        if name in found
    }


@cache
def _in_module(name: str) -> dict[str, dict[str, str]]:
    """The descriptions in a module of this package, by class and field."""
    if not name.startswith("orchestrator."):
        return {}
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    return {node.name: _in_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _in_class(tree: ast.ClassDef) -> dict[str, str]:
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ):
                found[name] = " ".join(said.split())
    return found
