"""
The place of each field of a TOML or JSON text, for messages.

The parsers give no places. So this module scans the text again, but only to report a mistake. The
text is valid by then. Where the scan fails, a message has no line number.
"""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]
Place = tuple[int, int]
"""Line and column, both from 1."""
DEEPEST = 100

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
BLANK = re.compile(r"[ \t\r\n]*(?:#[^\n]*[ \t\r\n]*)*")
SCALAR = re.compile(r"[^,\]}\n#]+")
STRINGS = {
    '"""': re.compile(r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"{3,5}', re.DOTALL),
    "'''": re.compile(r"'''.*?'{3,5}", re.DOTALL),
    '"': re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'),
    "'": re.compile(r"'[^'\n]*'"),
}


class Positions:
    """
    The places of the fields of one TOML text.

    Attributes:
        repeated: the places of repeated names, in the order of the text.
    """

    GIVES = "="

    def __init__(self, text: str) -> None:
        self._text = text
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._places: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}
        self._at = 0
        self.repeated: list[Place] = []
        try:
            self._walk()
        except (IndexError, ValueError, RecursionError):
            # Most messages have their place by now; the others name only the field.
            return

    def find(self, path: Path) -> tuple[int, int] | tuple[None, None]:
        """Line and column, both from 1, of a field or of the nearest one around it."""
        for length in range(len(path), 0, -1):
            place = self._places.get(path[:length])
            if place is not None:
                return self._shown(place)
        return None, None

    def _shown(self, place: int) -> Place:
        line = bisect_right(self._line_starts, place)
        return line, place - self._line_starts[line - 1] + 1

    def _walk(self) -> None:
        base: Path = ()
        while self._skip() < len(self._text):
            place = self._at
            if self._text.startswith("[", self._at):
                base = self._header(place)
            else:
                self._assignment(base)

    def _header(self, place: int) -> Path:
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        path = self._resolved(self._key(), place)
        self._at += 2 if is_array else 1
        if is_array:
            index = self._tables.get(path, 0)
            self._tables[path] = index + 1
            self._places.setdefault(path, place)
            path = (*path, index)
        # A header may have come before that of a table around it, and stood for that one too.
        self._places[path] = place
        return path

    def _resolved(self, key: list[str], place: int) -> Path:
        """
        A header's key, with the index of the last table of each array on its path.

        The tables on its path begin there, unless they have begun before.
        """
        path: Path = ()
        for part in key[:-1]:
            path = (*path, part)
            self._places.setdefault(path, place)
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        return (*path, key[-1])

    def _assignment(self, base: Path) -> None:
        place = self._at
        path = base
        for part in self._key():
            path = (*path, part)
            self._places.setdefault(path, place)
        if self._places[path] != place:
            self.repeated.append(self._shown(place))
        self._expect(self.GIVES)
        self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip()
            quote = self._text[self._at]
            pattern = STRINGS[quote] if quote in "\"'" else BARE_KEY
            match = pattern.match(self._text, self._at)
            if match is None:
                raise ValueError(self._at)
            parts.append(self._unquoted(match[0]))
            self._at = match.end()
            self._skip()
            if not self._text.startswith(".", self._at):
                return parts
            self._at += 1

    def _value(self, path: Path) -> None:
        self._skip()
        self._places.setdefault(path, self._at)
        opening = self._text[self._at]
        if opening in "\"'":
            opening = next(mark for mark in STRINGS if self._text.startswith(mark, self._at))
        pattern = STRINGS.get(opening, SCALAR)
        if opening == "[":
            self._sequence(path)
        elif opening == "{":
            self._inline_table(path)
        elif match := pattern.match(self._text, self._at):
            self._at = match.end()
        else:
            raise ValueError(self._at)

    def _sequence(self, path: Path) -> None:
        self._at += 1
        index = 0
        while not self._closes("]"):
            self._value((*path, index))
            index += 1
            self._comma()

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while not self._closes("}"):
            self._assignment(path)
            self._comma()

    def _closes(self, mark: str) -> bool:
        self._skip()
        if self._text[self._at] != mark:
            return False
        self._at += 1
        return True

    def _comma(self) -> None:
        self._skip()
        if self._text[self._at] == ",":
            self._at += 1

    def _expect(self, mark: str) -> None:
        self._skip()
        if self._text[self._at] != mark:
            raise ValueError(self._at)
        self._at += 1

    def _skip(self) -> int:
        match = BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at

    def _unquoted(self, key: str) -> str:
        """A part of a key as the parser reads it: without its quotes, escapes resolved."""
        return str(tomllib.loads(f"key = {key}")["key"]) if key[0] in "\"'" else key


class JsonPositions(Positions):
    """The places of the fields of one JSON text."""

    GIVES = ":"

    def _walk(self) -> None:
        self._value(())

    def _unquoted(self, key: str) -> str:
        return str(json.loads(key, strict=False))


def shown_path(path: Path) -> str:
    """A field's path as messages show it, such as `jobs[2].matrix.pages`; jobs count from 0."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if BARE_KEY.fullmatch(part) else json.dumps(part, ensure_ascii=False)
            text += f".{name}" if text else name
    return text
