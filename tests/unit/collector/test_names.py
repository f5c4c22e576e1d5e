from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.store.file_names import LONGEST_NAME, extension, file_name, record_key


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("OUTPUT", "OUTPUT"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        ("a/b", "a%2Fb"),
        ("CON", "%43ON"),
        (".hidden", "%2Ehidden"),
        ("..", "%2E."),
        ("nul.txt", "%6Eul.txt"),
    ],
)
def test_file_name_is_safe(key: str, name: str) -> None:
    """Any key becomes one name in one folder."""
    assert file_name(key) == name


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_file_name_can_be_decoded(key: str) -> None:
    """Two keys never share a file, and the key can be read from the name."""
    name = file_name(key)
    assert "/" not in name
    assert not name.startswith(".")
    if len(name) < LONGEST_NAME:
        assert record_key(name) == key


def test_file_name_of_a_long_key_fits_a_file_system() -> None:
    """A name that is too long is cut, and different keys still differ."""
    names = {file_name("x" * 300 + end) for end in "ab"}
    assert len(names) == 2
    assert all(len(name) <= LONGEST_NAME for name in names)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json; charset=utf-8", "json"),
        ("image/png", "png"),
        ("text/plain", "txt"),
        ("application/ld+json", "json"),
        ("x-strange/thing", "bin"),
        ("../../evil", "bin"),
        ("", "bin"),
    ],
)
def test_extension_follows_the_content_type(content_type: str, expected: str) -> None:
    """The name of the output's file ends with its type; an unknown type is bin."""
    assert extension(content_type) == expected
