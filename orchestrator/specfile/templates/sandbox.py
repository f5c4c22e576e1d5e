"""
Jinja2's sandbox for the templates of a spec: only expressions and filters.

It allows no statements, calls or methods, and limits the time and memory of a template. The first
template that is more than a name imports it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import orjson
from jinja2 import StrictUndefined, TemplateError, Undefined, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.sandbox import SandboxedEnvironment
from jinja2.tests import TESTS

from orchestrator.model.jobs import variables_in
from orchestrator.specfile.diagnostics import unknown
from orchestrator.specfile.templates.filters import (
    LONGEST_TEXT,
    as_text,
    days,
    join,
    objects,
    replace,
    rounded,
    slug,
    to_json,
    to_quoted,
)
from orchestrator.specfile.templates.template import Template, TemplateMistake

LARGEST_BITS = 4096
LONGEST_SHOWN = 200
BORROWED_FILTERS = (
    "abs", "default", "first", "float", "int", "last", "length", "max", "min", "sort", "unique",
)  # fmt: skip
TEXT_FILTERS = ("capitalize", "lower", "string", "title", "trim", "upper")
"""Borrowed ones that make a text of any value."""
OWN_FILTERS: Mapping[str, Callable[..., Any]] = {
    "objects": objects,
    "slug": slug,
    "json": to_json,
    "quote": to_quoted,
    "replace": replace,
    "join": join,
    "round": rounded,
    "days": days,
}
TO_TEXT = "\0text"
"""The filter of what `~` joins; no template can write its name."""
EXPRESSION = re.compile(r"\{\{-?\s*[\w'\"(\[-][^{}]*\}\}")
"""A text that is meant as one expression."""
LITERAL_HINT = "; write {{ '{{' }} for braces in a text, or keep the text in a file: text_file"
BORROWED_TESTS = ("defined", "none", "odd", "even")
LISTS = (list, tuple)
FAULTS = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError)
WORDS_OF_TYPES = {"str": "a text", "int": "a number", "float": "a number", "bool": "true or false",
                  "list": "a list", "dict": "a table", "NoneType": "null"}  # fmt: skip
NO_VALUE = re.compile(r".* has no (?:attribute|element) (.+)", re.DOTALL)
UNLIKE = re.compile(r"'(\S+)' not supported between instances of '(\w+)' and '(\w+)'")


def compile_expressions(text: str, kind: type[Sandbox] | None = None) -> Template:
    """
    Compiles a string that has expressions of any kind.

    Args:
        kind: of the sandbox; by default, the use of a name without a value is a mistake.

    Raises:
        TemplateMistake: it is not a valid template, or uses a forbidden feature.
    """
    environment = _environment(kind or Sandbox)
    try:
        tree = environment.parse(text)
        _check(text, tree)
        _refuse_joined_lists(tree)
        # A lone expression keeps its type, which `render` would turn into text.
        produce = _lone(environment, tree) or environment.from_string(text).render
    except TemplateError as error:
        said = str(error).replace("end of print statement", "}}")
        hint = "" if EXPRESSION.fullmatch(text) else LITERAL_HINT
        raise TemplateMistake(
            f"{_shown(text)} is not a valid template: {said.rstrip('.')}{hint}"
        ) from error
    except (RecursionError, MemoryError, OverflowError, SyntaxError) as error:
        raise TemplateMistake("the template is nested too deeply") from error
    return Template(
        source=text,
        names=frozenset(meta.find_undeclared_variables(tree)),
        env_names=frozenset(_env_names(tree)),
        render=_guarded(text, produce),
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")


def _guarded(
    text: str, produce: Callable[[Mapping[str, Any]], Any]
) -> Callable[[Mapping[str, Any]], Any]:
    def render(values: Mapping[str, Any]) -> Any:
        try:
            value = produce(values)
        except FAULTS as error:
            said = _in_words(str(error))
            raise TemplateMistake(f"{_shown(text)} cannot be rendered: {said}") from error
        except (RecursionError, MemoryError) as error:
            raise TemplateMistake(f"{_shown(text)} cannot be rendered: it is too large") from error
        if isinstance(value, Undefined):
            raise TemplateMistake(f"{_shown(text)} has no value")
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise TemplateMistake(f"{_shown(text)} gives more than {LONGEST_TEXT:,} characters")
        return value

    return render


def _in_words(said: str) -> str:
    """What Python and Jinja2 say of values, in the words of a spec."""
    if found := NO_VALUE.fullmatch(said):
        return f"{found[1]} has no value"
    if found := UNLIKE.fullmatch(said):
        one, other = (WORDS_OF_TYPES.get(name, name) for name in found.groups()[1:])
        cure = "; the filters int, float and string change a type"
        return f"{found[1]} cannot compare {one} with {other}{cure}"
    return said


def _check(text: str, tree: nodes.Template) -> None:
    # Refused when compiled, so that a mistake costs no run.
    if next(tree.find_all((nodes.Call, nodes.CallBlock)), None) is not None:
        raise TemplateMistake("functions and methods cannot be called in a template; use filters")
    if not all(isinstance(node, nodes.Output) for node in tree.body):
        raise TemplateMistake("a template has expressions only, no statements")
    known = [name for name in _environment(Sandbox).filters if name != TO_TEXT]
    for node in tree.find_all(nodes.Filter):
        if node.name not in known:
            raise TemplateMistake(unknown(node.name, known, "filter"))
        if node.name in OWN_FILTERS and not (node.dyn_args or node.dyn_kwargs):
            _check_arguments(node)
    named = _env_names(tree)
    used = sum(1 for node in tree.find_all(nodes.Name) if node.name == "env")
    # Some use of env is not a name: `env` as a whole would give away every secret.
    # Nor is a spelling that a search in the stored input does not find: no message redacts it.
    if used > len(named) or not variables_in(orjson.dumps(text)).issuperset(named):
        raise TemplateMistake("env is used as env.NAME, one variable at a time")


def _check_arguments(node: nodes.Filter) -> None:
    """Checks the number and names of the arguments of a filter of ours."""
    try:
        named = {str(pair.key): pair.value for pair in node.kwargs}
        signature(OWN_FILTERS[node.name]).bind(node.node, *node.args, **named)
    except TypeError as error:
        raise TemplateMistake(f"the filter {node.name}: {error}") from error


def _refuse_joined_lists(tree: nodes.Template) -> None:
    """Checks at rendering that `~` joins no list or table."""
    for joined in tree.find_all(nodes.Concat):
        joined.nodes = [
            nodes.Filter(part, TO_TEXT, [], [], None, None, lineno=joined.lineno)
            for part in joined.nodes
        ]


def _lone(
    environment: SandboxedEnvironment, tree: nodes.Template
) -> Callable[[Mapping[str, Any]], Any] | None:
    """A function that evaluates a template of exactly one expression; None for others."""
    outputs = [node for output in tree.find_all(nodes.Output) for node in output.nodes]
    if len(outputs) != 1 or isinstance(outputs[0], nodes.TemplateData):
        return None
    # As Jinja2's own compile_expression, but from the tree instead of the text.
    body = [nodes.Assign(nodes.Name("result", "store"), outputs[0], lineno=1)]
    made = environment.from_string(nodes.Template(body, lineno=1))

    def evaluate(values: Mapping[str, Any]) -> Any:
        context = made.new_context(dict(values))
        for _ in made.root_render_func(context):
            pass
        return context.vars["result"]

    return evaluate


def parsed(text: str) -> nodes.Template:
    """The tree of a template that is valid."""
    return _environment(Sandbox).parse(text)


def _env_names(tree: nodes.Template) -> list[str]:
    """The environment variables that it names, one for each use."""
    return [
        *(node.attr for node in tree.find_all(nodes.Getattr) if _is_env(node.node)),
        *(
            str(node.arg.value)
            for node in tree.find_all(nodes.Getitem)
            if _is_env(node.node) and isinstance(node.arg, nodes.Const)
        ),
    ]


def _is_env(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "env"


class Sandbox(SandboxedEnvironment):
    """
    Jinja2's sandbox, with limits on what operators produce and no methods of tables.

    Attributes:
        unknown: the value of a name that has none.
    """

    unknown: type[Undefined] = StrictUndefined

    # The operators that can make a huge value of small ones.
    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002
        """Performs an operator, unless its result would be huge."""
        if operator == "%" and isinstance(left, (str, bytes)):
            raise SecurityError("text cannot be formatted with %; join it with ~")
        if operator == "*" and (isinstance(left, LISTS) or isinstance(right, LISTS)):
            raise SecurityError("a list cannot be multiplied")
        if operator == "*" and _product_bits(left, right) > LARGEST_BITS:
            raise SecurityError("the product is too large")
        if operator == "**" and _power_bits(left, right) > LARGEST_BITS:
            raise SecurityError("the power is too large")
        return self.binop_table[operator](left, right)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """The element of a list, a text or a table."""
        try:
            return obj[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The field of a table, and of nothing else: `site.keys` is a field, not a method."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return self.undefined(obj=obj, name=attribute)


def _product_bits(left: Any, right: Any) -> int:
    sizes = [len(value) * 8 for value in (left, right) if isinstance(value, str)]
    numbers = [value for value in (left, right) if isinstance(value, int)]
    if sizes and numbers:
        return sizes[0] * max(numbers[0], 0)
    return sum(number.bit_length() for number in numbers)


def _power_bits(left: Any, right: Any) -> int:
    if isinstance(left, int) and isinstance(right, int):
        return left.bit_length() * abs(right)
    return 0


def _of_text(borrowed: Callable[..., Any]) -> Callable[..., Any]:
    """A borrowed filter, for values that have a text."""
    return lambda value, *more, **named: borrowed(as_text(value), *more, **named)


_environments: dict[type[Sandbox], Sandbox] = {}
"""Each is made with its first template."""


def _environment(kind: type[Sandbox]) -> Sandbox:
    if kind not in _environments:
        _environments[kind] = _made(kind)
    return _environments[kind]


def _made(kind: type[Sandbox]) -> Sandbox:
    # Statements and comments get marks that no text has, so `{%` and `{#` are text.
    environment = kind(
        undefined=kind.unknown,
        finalize=as_text,
        keep_trailing_newline=True,
        block_start_string="\0{%",
        block_end_string="%}\0",
        comment_start_string="\0{#",
        comment_end_string="#}\0",
        cache_size=0,
        optimized=False,
    )
    # Calls are refused anyway; without these, `{{ range }}` has no value, not an object's text.
    environment.globals.clear()
    environment.filters = {name: FILTERS[name] for name in BORROWED_FILTERS}
    environment.filters |= {name: _of_text(FILTERS[name]) for name in TEXT_FILTERS}
    environment.filters |= {TO_TEXT: as_text, **OWN_FILTERS}
    environment.tests = {name: TESTS[name] for name in BORROWED_TESTS}
    return environment
