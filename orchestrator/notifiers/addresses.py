"""Where the news of a batch is sent, and which part of these URLs may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from orchestrator.model.batches import NotifyWhen
from orchestrator.safe_text import REPLACEMENT, one_line

SHORTEST_PART = 4
"""Shorter parts of a URL are no credentials, and would spoil the words around them."""

LONGEST_REASON = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """
    Where the news of a batch is sent.

    Attributes:
        on: after which ends a notification is sent.
        urls: Apprise URLs.
        ping_url: of a dead-man's switch; None for none.
    """

    on: NotifyWhen = NotifyWhen.PROBLEM
    urls: tuple[str, ...] = field(default=(), repr=False)
    ping_url: str | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.notifies or self.ping_url is not None

    @property
    def compares(self) -> bool:
        """Whether the end of the last batch of the series counts."""
        return bool(self.urls) and self.on is NotifyWhen.CHANGE

    @property
    def notifies(self) -> bool:
        """Whether some end leads to a notification."""
        return bool(self.urls) and self.on is not NotifyWhen.NEVER


def shown_service(url: str) -> str:
    """A service of Apprise as messages name it: only by its kind, such as `mailto`."""
    return url.partition("://")[0]


def shown_host(url: str) -> str:
    """A web address as messages name it: without its path, which is often a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def without_parts(text: str, url: str) -> str:
    """A message of a library, on one line and without what it quotes of a URL."""
    parts = set(re.split(r"[:/@?&=#,;\s]+", url))
    # A password with special characters is escaped in the URL, and quoted as it is.
    parts |= {unquote(part) for part in parts}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= SHORTEST_PART:
            text = text.replace(part, REPLACEMENT)
    return one_line(text, LONGEST_REASON)
