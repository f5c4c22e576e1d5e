from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.model.jobs import KEY
from orchestrator.specfile.templates.filters import slug
from orchestrator.specfile.templates.sandbox import compile_expressions
from orchestrator.specfile.templates.template import TemplateMistake, compile_template

VALUES: dict[str, Any] = {
    "n": 3,
    "text": "Café a/b",
    "empty": None,
    "yes": True,
    "items": [1, "two"],
    "site": {"name": "shop", "keys": 2, "pop": 5},
}


BRACES = "; write {{ '{{' }} for braces in a text, or keep the text in a file: text_file"
NO_LIST = 'objects needs a list, found 3; of one value, write [{ u = "{{ NAME }}" }]'
AS_JSON = (
    "cannot be a part of a text; write {{ NAME }} alone to pass it as it is, or {{ NAME | json }} "
    "for a text"
)
AS_TEXT = AS_JSON.replace("or {{", "or {{ NAME | join(', ') }} or {{")


def mistake_of(text: str, values: dict[str, Any] | None = None) -> str:
    """The mistake of a template that is refused or cannot be rendered."""
    with pytest.raises(TemplateMistake) as caught:
        compile_template(text).render(VALUES if values is None else values)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ n }}", 3),
        ("{{n}}", 3),
        ("{{ -n }}", -3),
        ("{{ n * 2 + 1 }}", 7),
        ("{{ yes }}", True),
        ("{{ empty }}", None),
        ("{{ items }}", [1, "two"]),
        ("{{ items[1] }}", "two"),
        ("{{ site.name }}", "shop"),
        ("{{ site.keys }}", 2),
        ("{{ site['pop'] }}", 5),
        ("{{ 'big' if n > 2 else 'small' }}", "big"),
        ("{{ items | length }}", 2),
        (" {{ n }}", " 3"),
        ("{{ n }}{{ n }}", "33"),
        ("n={{ n }}, {{ yes }}", "n=3, True"),
        ("{{ text | slug }}", "cafe-a-b-025c23129113"),
        ("{{ text | quote }}", "Caf%C3%A9%20a%2Fb"),
        ("{{ site | json }}", '{"name":"shop","keys":2,"pop":5}'),
        ("{{ items | join('+') }}", "1+two"),
        ("{{ text | replace('a', 'o') }}", "Cofé o/b"),
        ("{{ 2.567 | round(1) }}", 2.6),
        ("{{ '{{' }} n }}", "{{ n }}"),
        ("{{ items | objects('url') }}", [{"url": 1}, {"url": "two"}]),
    ],
)
def test_template_gives_the_value(text: str, value: object) -> None:
    """A single expression keeps the value's type; with text around it, it is text."""
    assert compile_template(text).render(VALUES) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{{ n",
            "'{{ n' is not a valid template: unexpected end of template, expected '}}'" + BRACES,
        ),
        (
            "{{ }}",
            f"'{{{{ }}}}' is not a valid template: Expected an expression, got '}}}}'{BRACES}",
        ),
        ("{{ n > }}", "'{{ n > }}' is not a valid template: unexpected '}}'"),
        (
            "Hi {{#name}}",
            f"'Hi {{{{#name}}}}' is not a valid template: unexpected char '#' at 5{BRACES}",
        ),
        ("x {{ items }}", f"'x {{{{ items }}}}' cannot be rendered: a list {AS_TEXT}"),
        ("{{ n }}{{ site }}", f"'{{{{ n }}}}{{{{ site }}}}' cannot be rendered: a table {AS_JSON}"),
        ("{{ items | slug }}", f"'{{{{ items | slug }}}}' cannot be rendered: a list {AS_TEXT}"),
        (
            "{{ n | objects('u') }}",
            f"\"{{{{ n | objects('u') }}}}\" cannot be rendered: {NO_LIST}",
        ),
        ("{{ n | slugg }}", "unknown filter 'slugg'; did you mean 'slug'?"),
        (
            "{{ n | zzz }}",
            (
                "unknown filter 'zzz'; known here: abs, capitalize, days, default, first, float, "
                "int, join, json, last, length, lower and 13 more"
            ),
        ),
        ("{{ nope }}", "'{{ nope }}' cannot be rendered: nope has no value"),
        ("{{ site.nope }}", "'{{ site.nope }}' has no value"),
        ("{{ items.append }}", "'{{ items.append }}' has no value"),
        ("{{ items['append'] }}", "\"{{ items['append'] }}\" has no value"),
        (
            "{{ text.upper() }}",
            "functions and methods cannot be called in a template; use filters",
        ),
        ("{{ env }}", "env is used as env.NAME, one variable at a time"),
        ("{{ env[text] }}", "env is used as env.NAME, one variable at a time"),
        ("{{ n / 0 }}", "'{{ n / 0 }}' cannot be rendered: division by zero"),
    ],
)
def test_wrong_template_is_described(text: str, said: str) -> None:
    """The mistake of a template names the template and the reason."""
    assert mistake_of(text) == said


@pytest.mark.parametrize(
    "expression",
    ["(env).KEY", "env['K' 'EY']", "env\n.KEY", "env[('KEY')]", r"env['\x4bEY']", "env.KÉY"],
)
def test_variable_that_no_search_finds_is_a_mistake(expression: str) -> None:
    """Its value would be in every message that quotes the input."""
    assert mistake_of(f"{{{{ {expression} }}}}").startswith("env is used as env.NAME")


@pytest.mark.parametrize(
    "text",
    [
        '{{ "a" * 1000000000 }}',
        '{{ (("a" * 500) * 500) * 500 }}',
        "{{ [[[1] * 64] * 64] * 64 }}",
        "{{ 10 ** (10 ** 10) }}",
        "{{ 10 ** 100000 }}",
        '{{ "%1000000000d" % 1 }}',
        "{{ 'x'.__class__ }}",
        "{{ range(10) }}",
        "{{ ''.format() }}",
        "{{ [] | first }}",
        "{{ long | join(long) }}",
        "{{ long | replace('a', long) }}",
        "{{ 1 | round(1000000000, 'ceil') }}",
        "{{ long ~ long }}",
        "{{ long }}{{ long }}",
        "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}",
        "{{" + "-" * 50000 + "1}}",
    ],
)
def test_harmful_template_is_refused(text: str) -> None:
    """A template that takes long, uses much memory or leaves the sandbox is refused."""
    assert mistake_of(text, {"long": "a" * 600_000})


@pytest.mark.parametrize(
    "text",
    [
        "x {{ items }}",
        "{{ items ~ n }}",
        "{{ n ~ site }}",
        "{{ n }}{{ items | sort }}",
        "{{ items | string }}",
        "{{ site | upper }}",
        "{{ site | trim }}",
        "{{ items | quote }}",
        "{{ items | replace('1', '2') }}",
        "{{ [items] | join }}",
    ],
)
def test_list_never_becomes_a_text_by_itself(text: str) -> None:
    """No way to build a text takes a list or a table: the Actor would get Python's notation."""
    assert "cannot be a part of a text" in mistake_of(text, {**VALUES, "items": ["b", "a"]})


def test_statements_are_text() -> None:
    """Only double braces have a meaning, so other templates can be passed on."""
    assert compile_template("{% if %}{# #} {{ 1 }}").render({}) == "{% if %}{# #} 1"


@given(
    st.lists(st.sampled_from(["{{ n }}", "{{text|slug}}", "{{ site |json}}", "-", "}}", " {% "])),
)
def test_fast_renderer_gives_what_the_sandbox_gives(parts: list[str]) -> None:
    """Names and our filters are rendered without Jinja2, to the same value."""
    text = "".join(parts)
    assume("{{" in text)
    assert compile_template(text).render(VALUES) == compile_expressions(text).render(VALUES)


@given(st.text())
def test_slug_always_makes_a_key(text: str) -> None:
    """Any text becomes a valid key, and a slug stays the same."""
    assert KEY.fullmatch(slug(text))
    assert slug(slug(text)) == slug(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("東京", "京東"),
        ("東京 A", "大阪 A"),
        ("x" * 150 + "1", "x" * 150 + "2"),
        ("", "Ω"),
        ("C++", "C#"),
        ("C", "C#"),
        ("50%", "50"),
        ("über", "uber"),
        ("café", "cafe"),
        ("-5", "5"),
        ("a.b", "a-b"),
        ("a/b", "a-b"),
        ("K", "\N{KELVIN SIGN}"),
    ],
)
def test_slug_keeps_different_texts_apart(one: str, other: str) -> None:
    """Characters that a key cannot have, and the ends of long texts, still distinguish keys."""
    assert slug(one) != slug(other)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Big  Red Shoes ", "big-red-shoes"),
        ("shop.example.com", "shop.example.com"),
        ("a_b", "a_b"),
    ],
)
def test_slug_has_no_digest_if_only_case_and_spaces_change(text: str, made: str) -> None:
    """Lower case and one hyphen for a run of spaces are no loss, and a key may have some signs."""
    assert slug(text) == made


def plain_form(text: str) -> str:
    """What may be equal in texts that have one slug: case, spaces and hyphens."""
    return re.sub(r"\s+", "-", text.strip()).lower()


@given(
    st.lists(
        st.one_of(st.text(), st.text("aA bB-.+#é", max_size=4)), unique_by=plain_form, max_size=50
    )
)
def test_slugs_of_different_texts_are_different(texts: list[str]) -> None:
    """Texts that differ in more than case and runs of spaces never have one key."""
    assert len({slug(text) for text in texts}) == len(texts)
