"""What a template does with values that are not known yet, as its text shows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from orchestrator.specfile.templates.sandbox import parsed

UNCERTAIN = (nodes.CondExpr, nodes.And, nodes.Or, nodes.Test)
"""Where a value that does not exist may be meant."""


@dataclass(frozen=True, slots=True)
class Use:
    """
    The use of a part of a name, such as `needs.KEY.items`.

    Attributes:
        path: the parts after the name, as far as they are constant.
        is_part_of_text: whether it becomes a part of a text as it is.
    """

    path: tuple[Any, ...]
    is_part_of_text: bool


def uses(text: str, name: str) -> Iterator[Use]:
    """Each use of a name whose value must exist, in a template that is valid."""
    parts = _parts(text)
    for part in parts:
        yield from _uses_in(part, name, is_part_of_text=len(parts) > 1)


def joins_list(text: str, lists: Collection[str]) -> bool:
    """Whether a list becomes a part of a text, if the values of some names are lists."""
    parts = _parts(text)
    return len(parts) > 1 and any(
        (isinstance(part, nodes.Name) and part.name in lists)
        or (isinstance(part, nodes.Filter) and part.name == "objects")
        for part in parts
    )


def _parts(text: str) -> list[nodes.Expr]:
    """The expressions of a template, and the texts between them."""
    return [part for output in parsed(text).find_all(nodes.Output) for part in output.nodes]


def _uses_in(node: nodes.Node, name: str, *, is_part_of_text: bool) -> Iterator[Use]:
    if isinstance(node, UNCERTAIN) or (isinstance(node, nodes.Filter) and node.name == "default"):
        return
    path, root = _path(node)
    if isinstance(root, nodes.Name) and root.name == name:
        yield Use(path, is_part_of_text)
        return
    for inner in node.iter_child_nodes():
        yield from _uses_in(inner, name, is_part_of_text=False)


def _path(node: nodes.Node) -> tuple[tuple[Any, ...], nodes.Node]:
    """The fields of fields that a node names, and what they are fields of."""
    path: list[Any] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr):
            path.insert(0, node.attr)
        elif isinstance(node.arg, nodes.Const):
            path.insert(0, node.arg.value)
        else:
            # Nothing is known of what is behind a computed name.
            return (), node
        node = node.node
    return tuple(path), node
