"""Conditions such as `price > 10` on the items of jobs: a field that is missing is false."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from jinja2 import ChainableUndefined

from orchestrator.specfile.templates.sandbox import LITERAL_HINT, Sandbox, compile_expressions
from orchestrator.specfile.templates.template import TemplateMistake, is_template

Condition = Callable[[Mapping[str, Any]], bool]


class Missing(ChainableUndefined):
    """The value of a field that an item does not have: false in each comparison."""

    __slots__ = ()

    def _is_false(self, _other: object) -> bool:
        return False

    def _stays(self, *_others: object) -> Self:
        return self

    # Jinja2's own methods raise, and are declared never to return.
    __lt__ = __le__ = __gt__ = __ge__ = _is_false  # type: ignore[assignment]
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _stays  # type: ignore[assignment]
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _stays  # type: ignore[assignment]
    __mod__ = __rmod__ = __pow__ = __rpow__ = __neg__ = __pos__ = _stays  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return other is False

    def __ne__(self, other: object) -> bool:
        return other is not False

    def __hash__(self) -> int:
        return hash(False)


class ItemSandbox(Sandbox):
    """The sandbox for conditions: null is as a field that is missing."""

    unknown = Missing

    def getitem(self, obj: Any, argument: Any) -> Any:
        """The element of a list, a text or a table."""
        return self._found(super().getitem(obj, argument), obj, argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The field of a table."""
        return self._found(super().getattr(obj, attribute), obj, attribute)

    def _found(self, value: Any, obj: Any, name: Any) -> Any:
        return self.undefined(obj=obj, name=name) if value is None else value


def compile_condition(text: str) -> Condition:
    """
    Compiles a condition, with or without braces around it.

    The function that it returns raises TemplateMistake if values have types that do not fit.

    Raises:
        TemplateMistake: it is not a valid expression.
    """
    inner = text.strip()
    if is_template(inner):
        inner = inner.removeprefix("{{").removesuffix("}}").strip()
    # Alone first: a mistake in it must not speak of what stands around it here.
    alone, whole = f"{{{{ {inner} }}}}", f"{{{{ true if ({inner}) else false }}}}"
    try:
        compile_expressions(alone, ItemSandbox)
        render = compile_expressions(whole, ItemSandbox).render
    except TemplateMistake as mistake:
        said = str(mistake).replace(repr(alone), repr(text)).replace(repr(whole), repr(text))
        said = said.removesuffix(LITERAL_HINT).replace("is not a valid template", "is not valid")
        said = said.replace("unexpected '}}'", "unexpected end")
        said = said.replace("expected token '}}', got '='", "write == to compare")
        said = said.replace("'}}'", "the end")
        raise TemplateMistake(said) from mistake

    def holds(item: Mapping[str, Any]) -> bool:
        try:
            known = {name: value for name, value in item.items() if value is not None}
            return bool(render(known))
        except TemplateMistake as mistake:
            raise TemplateMistake(str(mistake).replace(repr(whole), repr(text))) from mistake

    return holds
