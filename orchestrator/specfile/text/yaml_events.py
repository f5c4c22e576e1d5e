"""
YAML to plain data, with the place of every field.

It reads the parser's events one by one, and so refuses a YAML bomb before it grows. The version is
1.2: `no` and `2026-11-25` are text. Tags and several documents are refused.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from orchestrator.specfile.text.positions import DEEPEST, Path, Place

MOST_NODES = 1_000_000
WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
NO_NUMBER = re.compile(r"([-+]?)\.(inf|nan)", re.ASCII | re.IGNORECASE)
# The loader in C is many times as fast; some systems lack it.
LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class NotYaml(ValueError):
    """
    A text that cannot be read as YAML.

    Attributes:
        place: line and column, both from 1; None for the text as a whole.
    """

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.place = place


@dataclass(slots=True)
class _Open:
    """
    A table or list that is not complete yet.

    Attributes:
        key: of a table, the name whose value comes next; None before a name.
    """

    value: dict[str, Any] | list[Any]
    path: Path
    anchor: str | None
    key: str | None = None
    nodes: int = 1
    height: int = 1


@dataclass(slots=True, kw_only=True)
class _Builder:
    """Makes the data of one document from its events."""

    places: dict[Path, Place] = field(default_factory=dict)
    is_placing: bool = False
    root: Any = None
    open: list[_Open] = field(default_factory=list)
    known: dict[str, tuple[Any, int, int]] = field(default_factory=dict)
    nodes: int = 0
    documents: int = 0

    def take(self, event: Any) -> None:
        """Processes the next event."""
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case yaml.ScalarEvent():
                self._scalar(event, place)
            case yaml.AliasEvent():
                self._alias(event.anchor, place)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                _refuse_tag(event.tag, place)
                path = self._next_path(place)
                if len(self.open) >= DEEPEST:
                    raise NotYaml(f"nested more than {DEEPEST} levels deep", place)
                is_table = isinstance(event, yaml.MappingStartEvent)
                self.open.append(_Open({} if is_table else [], path, event.anchor))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = self.open.pop()
                self._attach(done.value, done.nodes, done.height, done.anchor, place)
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise NotYaml("a spec is one document; found a second one", place)

    def _next_path(self, place: Place) -> Path:
        """The place of the next value; refuses one where a table has a name."""
        if not self.open:
            return ()
        top = self.open[-1]
        if isinstance(top.value, dict) and top.key is None:
            raise NotYaml("the name of a field must be text", place)
        path = (*top.path, len(top.value) if isinstance(top.value, list) else str(top.key))
        if self.is_placing:
            self.places.setdefault(path, place)
        return path

    def _scalar(self, event: Any, place: Place) -> None:
        _refuse_tag(event.tag, place)
        top = self.open[-1] if self.open else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            if event.value == "<<" and event.implicit[0]:
                raise NotYaml(
                    "merge keys (<<) are not supported; write the shared fields in defaults", place
                )
            if event.value in top.value:
                raise NotYaml("the name already has a value", place)
            top.key = event.value
            if self.is_placing:
                self.places[*top.path, event.value] = place
            return
        self._next_path(place)
        # In quotes, a word stays text, also if it looks like a number.
        value = _plain(event.value, place) if event.implicit[0] else event.value
        self._attach(value, 1, 0, event.anchor, place)

    def _alias(self, anchor: str, place: Place) -> None:
        self._next_path(place)
        if any(part.anchor == anchor for part in self.open):
            raise NotYaml(f"*{anchor} refers to itself", place)
        if anchor not in self.known:
            raise NotYaml(f"there is no &{anchor} before *{anchor}", place)
        value, nodes, height = self.known[anchor]
        # An alias brings its own depth and number of nodes: that is how a bomb is made.
        if len(self.open) + height > DEEPEST:
            raise NotYaml(f"nested more than {DEEPEST} levels deep", place)
        self._count(nodes, place)
        # A copy: a change of one place must not change the others.
        self._attach(copy.deepcopy(value), nodes, height, None, place)

    def _attach(
        self, value: Any, nodes: int, height: int, anchor: str | None, place: Place
    ) -> None:
        if nodes == 1:
            self._count(1, place)
        if anchor is not None:
            self.known[anchor] = value, nodes, height
        if not self.open:
            self.root = value
            return
        top = self.open[-1]
        top.nodes += nodes
        top.height = max(top.height, height + 1)
        if isinstance(top.value, list):
            top.value.append(value)
        else:
            top.value[str(top.key)] = value
            top.key = None

    def _count(self, nodes: int, place: Place) -> None:
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise NotYaml(f"more than {MOST_NODES:,} values, aliases included", place)


def parse_yaml(text: str) -> Any:
    """
    The data of a text.

    Raises:
        NotYaml: at the first thing that cannot be read.
    """
    builder = _Builder()
    try:
        for event in _events(text):
            builder.take(event)
    except NotYaml as error:
        raise _with_cure(text, error) from error
    return builder.root


def _with_cure(text: str, error: NotYaml) -> NotYaml:
    """The same error, or what to write instead where the cause is a common one."""
    if error.place is None:
        return error
    line, column = error.place
    lines = text.splitlines()
    whole = lines[line - 1] if line <= len(lines) else ""
    if whole[column - 1 :].startswith("\t"):
        return NotYaml("a tab cannot indent a line; write spaces", error.place)
    bare = re.search(r"(?<![\"'\w])\{\{.*?\}\}", whole)
    if bare and column > bare.start():
        said = f"write the whole text of a template in quotes: '{bare[0]}'"
        return NotYaml(said, (line, bare.start() + 1))
    return error


def yaml_places(text: str) -> dict[Path, Place]:
    """The places of all fields of a valid text, except those that an alias repeats."""
    builder = _Builder(is_placing=True)
    for event in _events(text):
        builder.take(event)
    return builder.places


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        said = str(error.problem or error.context)
        if said.startswith("exceeded max"):
            said = "nested too deeply"
        raise NotYaml(said, None if mark is None else (mark.line + 1, mark.column + 1)) from error
    except yaml.YAMLError as error:
        raise NotYaml(str(getattr(error, "reason", error))) from error


def _plain(text: str, place: Place) -> Any:
    """The value of a scalar without quotes."""
    if text in WORDS:
        return WORDS[text]
    try:
        if INTEGER.fullmatch(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if FLOAT.fullmatch(text):
            return float(text)
        if found := NO_NUMBER.fullmatch(text):
            return float(found[1] + found[2])
    except ValueError as error:
        raise NotYaml("a number has more digits than 64 bits hold", place) from error
    return text


def _refuse_tag(tag: str | None, place: Place) -> None:
    if tag is not None:
        raise NotYaml(f"tags such as {tag[:40]!r} are not supported", place)
