"""
Text from elsewhere, made fit to be shown and kept: no secrets, and nothing that steers a terminal.

A platform, a gateway and an Actor can put anything into their messages: escape sequences, marks
that turn the direction of writing, line breaks that fake a log line, and the secrets that they were
sent. Every message of ours passes through here: errors and outcomes when they are made, log lines
when they are written. What an Actor made (items, records, its log) is never changed.
"""

from __future__ import annotations

import html
import json
import os
import re
from _thread import allocate_lock
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

REPLACEMENT = "[secret]"
SHORTEST = 8
"""
Shorter values of the environment are not secrets: to replace them everywhere would spoil messages.
"""

SHORTEST_TOKEN = 6
KEPT_IN_URLS = ("", "/", "!*'()")
"""What encoders of URLs leave as it is: all of it encoded, a path, and `encodeURIComponent`."""
PERCENT_ENCODED = re.compile("%[0-9A-F]{2}")
"""Some of them write `%2f` for `%2F`."""


class Secrets:
    """
    The secrets that this process knows, in all the forms in which they may be quoted.

    Attributes:
        longest_bytes: of a form of a secret; 0 when none is known.
    """

    def __init__(self) -> None:
        self.longest_bytes = 0
        self._known: set[str] = set()
        self._forms: tuple[str, ...] = ()
        self._bytes: tuple[bytes, ...] = ()
        # Batches of a Python program may begin in several threads at once. Not `threading.Lock`,
        # which is the same: brief commands do not import that module.
        self._adding = allocate_lock()

    def add(self, value: str, *, shortest: int = SHORTEST) -> None:
        """Keeps a value out of everything that is written from now on, unless it is too short."""
        if len(value) < shortest:
            return
        with self._adding:
            if value in self._known:
                return
            self._known.add(value)
            forms = {form for known in self._known for form in _forms_of(known)}
            # The longest first: one may be a part of another.
            self._forms = tuple(sorted(forms, key=len, reverse=True))
            # Environment variables can hold bytes that are not UTF-8: Python has surrogates.
            self._bytes = tuple(form.encode("utf-8", "surrogateescape") for form in self._forms)
            self.longest_bytes = max(map(len, self._bytes))

    def add_variables(
        self, names: Iterable[str], environment: Mapping[str, str] = os.environ
    ) -> None:
        """Keeps the values of these variables out; one that is not set has none."""
        for name in names:
            self.add(environment.get(name, ""))

    def clear(self) -> None:
        """Forgets all."""
        self._known.clear()
        self._forms, self._bytes, self.longest_bytes = (), (), 0

    def redact(self, text: str) -> str:
        """The text without secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, REPLACEMENT)
        return text

    def are_in(self, data: bytes) -> bool:
        """Whether any secret is in these bytes."""
        for form in self._bytes:  # noqa: SIM110 - a generator takes several times as long for few
            # Not `in`, which first tries to read the form as a number: ten times the work.
            if data.find(form) >= 0:
                return True
        return False


SECRETS = Secrets()


def _forms_of(secret: str) -> set[str]:
    """A secret as it is, and as JSON, URLs, HTML and Python write it."""
    # `one_line` joins lines, and a secret with line breaks then has another form.
    spaced = " ".join(secret.split())
    as_json = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    in_urls = {quote(secret, safe=kept, errors="surrogateescape") for kept in KEPT_IN_URLS}
    in_urls.add(quote_plus(secret, errors="surrogateescape"))
    return {
        form
        for form in (
            secret,
            spaced,
            *as_json,
            *(form.replace("/", "\\/") for form in as_json),
            *in_urls,
            *(PERCENT_ENCODED.sub(lambda found: found[0].lower(), form) for form in in_urls),
            html.escape(secret),
            repr(secret)[1:-1],
        )
        if form
    }


def plain(text: str) -> str:
    """Text of several lines without secrets and without anything that cannot be printed."""
    text = SECRETS.redact(text)
    if text.isprintable():
        return text
    # Replaced and not removed: without the character, both sides could join to a secret.
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def one_line(text: str, chars: int) -> str:
    """The same on one line, without HTML's entities, and at most `chars` long."""
    # Decoded before it is redacted: a page can write a character of a secret as an entity.
    text = " ".join(SECRETS.redact(html.unescape(text)).split())
    text = plain(text)
    return text if len(text) <= chars else f"{text[: chars - 1]}…"


def without_secrets(tree: Any) -> Any:
    """Parsed JSON whose texts have no secrets."""
    match tree:
        case str():
            return SECRETS.redact(tree)
        case list() | tuple():
            return [without_secrets(each) for each in tree]
        case dict():
            return {SECRETS.redact(key): without_secrets(each) for key, each in tree.items()}
        case _:
            return tree
