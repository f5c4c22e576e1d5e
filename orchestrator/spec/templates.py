"""
`{{ expressions }}` in the strings of a spec, by Jinja2's sandbox.

A string that is exactly one expression keeps the value's type; any other is rendered as text. There
are expressions and filters, and nothing else: no statements, no calls, no methods. Nothing that a
template can say takes long or much memory.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import orjson
from jinja2 import StrictUndefined, TemplateError, Undefined, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.sandbox import SandboxedEnvironment

LONGEST_TEXT = 1_000_000
LARGEST_BITS = 4096
BORROWED_FILTERS = (
    "abs", "capitalize", "default", "first", "float", "int", "join", "last", "length", "lower",
    "max", "min", "round", "sort", "string", "title", "trim", "unique", "upper",
)  # fmt: skip


class TemplateMistake(Exception):
    """
    A template that cannot be used or rendered; the message is for the user.

    Attributes:
        path: where in the field it stands, when the field is a tree.
    """

    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """
    One string, compiled.

    Attributes:
        names: the variables that it uses.
        env_names: those of the environment that it names outright.
        render: gives the value, from the variables.
    """

    source: str
    names: frozenset[str]
    env_names: frozenset[str]
    render: Callable[[Mapping[str, Any]], Any]


def is_template(text: str) -> bool:
    """
    Whether a string has an expression in it.
    """
    return "{{" in text


@lru_cache(maxsize=4096)
def compile_template(text: str) -> Template:
    """
    Compiles a string that has expressions.

    Raises:
        TemplateMistake: it is no valid template, or uses what is not allowed.
    """
    environment = _environment()
    try:
        tree = environment.parse(text)
        _check(tree)
        names = frozenset(meta.find_undeclared_variables(tree))
        lone = _lone_expression(tree, text)
        if lone is not None:
            evaluate = environment.compile_expression(lone, undefined_to_none=False)
            produce: Callable[[Mapping[str, Any]], Any] = lambda values: evaluate(**values)  # noqa: E731
        else:
            produce = environment.from_string(text).render
    except TemplateMistake:
        raise
    except TemplateError as error:
        raise TemplateMistake(f"{text!r} is no valid template: {error}") from error
    except (RecursionError, MemoryError, OverflowError) as error:
        raise TemplateMistake("the template is nested too deeply") from error
    return Template(text, names, _env_names(tree), _guarded(text, produce))


def _guarded(
    text: str, produce: Callable[[Mapping[str, Any]], Any]
) -> Callable[[Mapping[str, Any]], Any]:
    def render(values: Mapping[str, Any]) -> Any:
        try:
            value = produce(values)
        except TemplateMistake:
            raise
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise TemplateMistake(f"{text!r} cannot be rendered: {error}") from error
        if isinstance(value, Undefined):
            raise TemplateMistake(f"{text!r} has no value")
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise TemplateMistake(f"{text!r} gives more than {LONGEST_TEXT} characters")
        return value

    return render


def _check(tree: nodes.Template) -> None:
    if next(tree.find_all((nodes.Call, nodes.CallBlock)), None) is not None:
        raise TemplateMistake("functions and methods cannot be called in a template; use filters")
    if not all(isinstance(node, nodes.Output) for node in tree.body):
        raise TemplateMistake("a template has expressions only, no statements")


def _lone_expression(tree: nodes.Template, text: str) -> str | None:
    if len(tree.body) != 1 or not (text.startswith("{{") and text.endswith("}}")):
        return None
    output = tree.body[0]
    if not isinstance(output, nodes.Output) or len(output.nodes) != 1:
        return None
    if isinstance(output.nodes[0], nodes.TemplateData):
        return None
    return text[2:-2].strip("-+ \t\n")


def _env_names(tree: nodes.Template) -> frozenset[str]:
    names = set()
    for node in tree.find_all(nodes.Getattr):
        if _is_env(node.node):
            names.add(node.attr)
    for item in tree.find_all(nodes.Getitem):
        if _is_env(item.node) and isinstance(item.arg, nodes.Const):
            names.add(str(item.arg.value))
    return frozenset(names)


def _is_env(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "env"


class _Sandbox(SandboxedEnvironment):
    """
    Jinja2's sandbox, with bounds on what an operator may make.
    """

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002
        """
        Performs an operator whose result could be huge, unless it would be.
        """
        if operator == "%" and isinstance(left, (str, bytes)):
            raise SecurityError("text cannot be formatted by %; join it by ~")
        if operator == "*" and _product_bits(left, right) > LARGEST_BITS:
            raise SecurityError("the product is too large")
        if operator == "**" and _power_bits(left, right) > LARGEST_BITS:
            raise SecurityError("the power is too large")
        return self.binop_table[operator](left, right)


def _product_bits(left: Any, right: Any) -> int:
    sizes = [len(value) * 8 for value in (left, right) if isinstance(value, (str, list, tuple))]
    numbers = [value for value in (left, right) if isinstance(value, int)]
    if sizes and numbers:
        return sizes[0] * max(numbers[0], 0)
    return sum(number.bit_length() for number in numbers)


def _power_bits(left: Any, right: Any) -> int:
    if isinstance(left, int) and isinstance(right, int):
        return left.bit_length() * max(right, 0)
    return 0


@lru_cache(maxsize=1)
def _environment() -> _Sandbox:
    # Statements and comments are given marks that no text has, so that `{%` and `{#` are text.
    environment = _Sandbox(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        block_start_string="\0{%",
        block_end_string="%}\0",
        comment_start_string="\0{#",
        comment_end_string="#}\0",
        cache_size=0,
        optimized=False,
    )
    environment.globals.clear()
    environment.filters = {name: FILTERS[name] for name in BORROWED_FILTERS}
    environment.filters |= {"slug": slug, "json": to_json, "quote": to_quoted, "replace": replace}
    environment.tests = {
        name: environment.tests[name] for name in ("defined", "none", "odd", "even")
    }
    return environment


def slug(value: object) -> str:
    """
    Makes any text fit for a job key: ASCII letters and digits joined by hyphens, never empty.
    """
    text = unicodedata.normalize("NFKD", str(value)).encode("ascii", "ignore").decode()
    joined = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if joined:
        return joined[:100].rstrip("-")
    return "x" + format(sum(map(ord, str(value))) % 0xFFFFFF, "x")


def to_json(value: object) -> str:
    """
    A value as JSON text.
    """
    return orjson.dumps(value).decode()


def to_quoted(value: object) -> str:
    """
    A value percent-encoded for a URL.
    """
    return quote(str(value), safe="")


def replace(value: object, old: str, new: str) -> str:
    """
    A text with a part of it replaced throughout.
    """
    text = str(value)
    if len(text) + text.count(old) * len(new) > LONGEST_TEXT:
        raise SecurityError("the replaced text would be too long")
    return text.replace(old, new)
