"""Trees of tables, lists and values: finds their strings and renders their templates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

from orchestrator.specfile.templates.template import (
    Render,
    Template,
    TemplateMistake,
    compile_template,
    is_template,
)
from orchestrator.specfile.text.positions import Path as FieldPath

Values = Mapping[str, Any]


def strings_in(tree: Any, path: FieldPath = ()) -> Iterator[tuple[FieldPath, str]]:
    """Every string of a tree, with its place; without the names of fields."""
    match tree:
        case str():
            yield path, tree
        case dict():
            for name, inner in tree.items():
                yield from strings_in(inner, (*path, name))
        case list():
            for index, inner in enumerate(tree):
                yield from strings_in(inner, (*path, index))


def names_in(tree: Any, path: FieldPath = ()) -> Iterator[FieldPath]:
    """The place of every field of every table in a tree."""
    match tree:
        case dict():
            for name, inner in tree.items():
                yield (*path, name)
                yield from names_in(inner, (*path, name))
        case list():
            for index, inner in enumerate(tree):
                yield from names_in(inner, (*path, index))


def templates_in(tree: Any) -> Iterator[tuple[FieldPath, str]]:
    """Every string of a tree that has an expression, with its place."""
    return ((path, text) for path, text in strings_in(tree) if is_template(text))


def renderer(
    tree: Any, *, leave: frozenset[FieldPath] = frozenset(), path: FieldPath = ()
) -> Render | None:
    """
    A function that renders a tree; None if the tree has no template.

    Args:
        leave: places of templates that stay unrendered.

    Raises:
        TemplateMistake: with `path` set; the returned function raises it too.
    """
    match tree:
        case str() if is_template(tree) and path not in leave:
            return _at(path, compiled_at(path, tree).render)
        case dict():
            fields = {
                name: renderer(inner, leave=leave, path=(*path, name))
                for name, inner in tree.items()
            }
            moving = [(name, render) for name, render in fields.items() if render is not None]
            if moving:
                return lambda values: tree | {name: render(values) for name, render in moving}
        case list():
            each = [
                renderer(inner, leave=leave, path=(*path, index))
                for index, inner in enumerate(tree)
            ]
            if any(each):
                return lambda values: [
                    old if render is None else render(values)
                    for old, render in zip(tree, each, strict=True)
                ]
    return None


def compiled_at(path: FieldPath, text: str) -> Template:
    """A compiled template; a mistake in it carries its place."""
    try:
        return compile_template(text)
    except TemplateMistake as mistake:
        mistake.path = path
        raise


def _at(path: FieldPath, render: Render) -> Render:
    def render_here(values: Values) -> Any:
        try:
            return jsonable(render(values))
        except TemplateMistake as mistake:
            mistake.path = path
            raise

    return render_here


def jsonable(value: Any) -> Any:
    """
    A rendered value as a JSON value: times as ISO text.

    Raises:
        TemplateMistake: JSON cannot express the value.
    """
    match value:
        # bool comes before int, of which it is a subclass.
        case str() | bool() | None:
            return value
        case int():
            # The limits of the JSON writer, which would fail later and without the place.
            if not -(2**63) <= value < 2**64:
                raise TemplateMistake(f"{str(value)[:20]}… does not fit into 64 bits")
            return value
        case dict():
            return {str(name): jsonable(inner) for name, inner in value.items()}
        case list() | tuple():
            return [jsonable(inner) for inner in value]
        case datetime() | date() | time():
            return value.isoformat()
        case float() if math.isfinite(value):
            return value
        case _:
            raise TemplateMistake(f"{value} is not a JSON value")


def value_at(tree: Any, path: FieldPath) -> Any:
    """The value at a place of a tree."""
    for part in path:
        tree = tree[part]
    return tree


def change_at(tree: Any, path: FieldPath, change: Callable[[Any], Any]) -> None:
    """Changes the value at a place of a tree, in place."""
    for part in path[:-1]:
        tree = tree[part]
    tree[path[-1]] = change(tree[path[-1]])
