"""The one rule for pauses between tries."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import orchestrator
from orchestrator.backoff import pause_secs


@pytest.mark.parametrize(
    ("number", "secs"), [(0, 0.5), (1, 1.0), (2, 2.0), (5, 16.0), (6, 30.0), (10**9, 30.0)]
)
def test_pause_doubles_up_to_the_longest(number: int, secs: float) -> None:
    """Pauses grow from the first to the longest, for any number of tries."""
    assert pause_secs(number, first_secs=0.5, longest_secs=30.0) == secs


def is_doubling(node: ast.AST) -> bool:
    """Whether code doubles a pause, a delay or seconds."""
    match node:
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            factors = [left, right]
        case ast.AugAssign(op=ast.Mult(), target=target, value=value):
            factors = [target, value]
        case _:
            return False
    named = any("pause" in name or "secs" in name or "delay" in name for name in names_in(factors))
    return named and any(is_two(factor) for factor in factors)


def names_in(nodes: list[ast.expr]) -> list[str]:
    """The last parts of the names in some expressions."""
    return [
        node.attr if isinstance(node, ast.Attribute) else node.id
        for each in nodes
        for node in ast.walk(each)
        if isinstance(node, ast.Attribute | ast.Name)
    ]


def is_two(node: ast.expr) -> bool:
    """Whether an expression is 2 or a power of 2."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        node = node.left
    return isinstance(node, ast.Constant) and node.value == 2


def test_pauses_are_doubled_in_one_place() -> None:
    """Only `backoff.pause_secs` doubles a pause."""
    package = Path(orchestrator.__file__).parent
    doubling = {
        f"{path.relative_to(package)}:{node.lineno}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.BinOp | ast.AugAssign) and is_doubling(node)
    }
    assert {place.partition(":")[0] for place in doubling} == {"backoff.py"}, doubling
