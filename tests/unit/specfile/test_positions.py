from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.specfile.text.positions import Positions, shown_path

Path = tuple[str | int, ...]

TEXT = '''\
# [not] = "a table"
title = """two
lines = "quoted" \\""" """
plain = \'\'\'raw
[x] = 1\'\'\'

[a."b.c"]   # = 1
"q\\u00e9" = 1
d.e = [ 1, { f = "]" },
  [ "#", '}' ],   # ]
]

[[jobs]]
name = "one"

[jobs.matrix]
n = { range = [1, 2] }

[[jobs]]
  name = "two"
  [[jobs.inner]]
  when = 1979-05-27 07:32:00
'''


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("title",), (2, 1)),
        (("plain",), (4, 1)),
        (("a", "b.c"), (7, 1)),
        (("a", "b.c", "qé"), (8, 1)),
        (("a", "b.c", "d"), (9, 1)),
        (("a", "b.c", "d", "e"), (9, 1)),
        (("a", "b.c", "d", "e", 0), (9, 9)),
        (("a", "b.c", "d", "e", 1, "f"), (9, 14)),
        (("a", "b.c", "d", "e", 2, 1), (10, 10)),
        (("jobs", 0, "name"), (14, 1)),
        (("jobs", 0, "matrix", "n", "range", 1), (17, 19)),
        (("jobs", 1), (19, 1)),
        (("jobs", 1, "name"), (20, 3)),
        (("jobs", 1, "inner", 0, "when"), (22, 3)),
        (("jobs", 1, "missing", "deep"), (19, 1)),
        (("nowhere",), (None, None)),
    ],
    ids=str,
)
def test_field_is_found_in_the_text(path: Path, place: tuple[int, int]) -> None:
    """The place of a field is found in any notation; a missing field has that of its table."""
    assert Positions(TEXT).find(path) == place


def written(value: Any) -> str:
    """A value as inline TOML."""
    match value:
        case dict():
            pairs = (f"{json.dumps(name)} = {written(inner)}" for name, inner in value.items())
            return "{ " + ", ".join(pairs) + " }"
        case list():
            return "[\n" + "".join(f"{written(inner)}, # ]\n" for inner in value) + "]"
        case _:
            return json.dumps(value)


def paths_in(tree: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all fields and elements of a tree."""
    places = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    for name, inner in places:
        yield (*path, name)
        yield from paths_in(inner, (*path, name))


PRINTABLE = st.text(
    st.characters(
        min_codepoint=32, max_codepoint=0xFFFF, exclude_categories=["Cs"], exclude_characters="\x7f"
    )
)
TREES = st.recursive(
    st.integers(-9, 9) | st.booleans() | PRINTABLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PRINTABLE, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(PRINTABLE, TREES, max_size=4), st.dictionaries(PRINTABLE, TREES, max_size=4))
def test_every_field_of_any_spec_has_a_place(one: dict[str, Any], two: dict[str, Any]) -> None:
    """The place of everything that the parser reads is found, and is where it begins."""
    text = ""
    for table in (one, two):
        text += "[[tables]]\n"
        text += "".join(f"{json.dumps(name)} = {written(value)}\n" for name, value in table.items())
    places = Positions(text)
    lines = text.splitlines()
    for path in paths_in(tomllib.loads(text)):
        assert path in places._places
        line, column = places.find(path)
        assert line is not None
        assert column is not None
        if isinstance(path[-1], str) and len(path) > 2:
            assert lines[line - 1][column - 1 :].startswith(json.dumps(path[-1]))


@given(st.text(alphabet="[]{}\"'=.,#\n\\ ab1\r"))
def test_any_text_is_read_to_an_end(text: str) -> None:
    """A text that is not TOML has no places, and causes no error."""
    assert Positions(text).find(("a",))


def test_path_is_shown_as_in_toml() -> None:
    """Names that need quotes have them."""
    assert shown_path(("jobs", 2, "matrix", "a b", 0)) == 'jobs[2].matrix."a b"[0]'


def test_table_that_only_a_header_below_it_names_begins_there() -> None:
    """A table without a header of its own has the place of the first one that names it."""
    places = Positions("[pool.shop]\nn = 1\n[[jobs]]\n[jobs.colect.x]\n[b.c]\n[b]\n")
    assert places.find(("pool",)) == (1, 1)
    assert places.find(("jobs", 0, "colect")) == (4, 1)
    assert places.find(("b",)) == (6, 1)
    assert places.find(("b", "c")) == (5, 1)
