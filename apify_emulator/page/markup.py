"""How a page is written. Every text from outside passes through `escaped`."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from urllib.parse import quote

# Sequences for terminals, and characters that change the direction or hide a text.
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.?")
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_LONGEST_CELL = 500
_STYLE = """
:root {
  color-scheme: light dark;
  --line: #8884; --soft: #8882; --link: light-dark(#0b57d0, #a8c7fa);
}
body {
  font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 80rem; padding: 0 1rem 3rem;
}
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); }
nav { display: flex; gap: 1rem; padding: .8rem 0; border-bottom: 1px solid var(--line); }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td {
  text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top;
}
td { overflow-wrap: break-word; min-width: 4rem; max-width: 30rem; }
pre {
  background: var(--soft); padding: .8rem; overflow: auto; max-height: 32rem;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
h1, dd { overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1rem; }
dd { margin: 0; }
dt { color: light-dark(#555, #bbb); }
.bad { color: light-dark(#b3261e, #f2b8b5); }
.good { color: light-dark(#146c2e, #6dd58c); }
"""
_GOOD, _BAD = frozenset({"SUCCEEDED"}), frozenset({"FAILED", "TIMED-OUT", "ABORTED"})


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


def escaped(value: object) -> Markup:
    """Returns a value as HTML; markup stays as it is."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(plain_text("" if value is None else str(value))))


def plain_text(text: str) -> str:
    """Returns a text without terminal sequences and invisible characters."""
    return _HIDDEN.sub("\ufffd", _ANSI.sub("", text))


def shortened(value: object) -> str:
    """Returns the text of a cell, at most a few hundred characters."""
    text = "" if value is None else str(value)
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]} …"


def link(text: object, *path: str, query: str = "") -> Markup:
    """Returns a link to a place of these pages."""
    place = "/" + "/".join(quote(part, safe="~") for part in path) + query
    return Markup(f'<a href="{html.escape(place)}">{escaped(text)}</a>')


def status(word: str) -> Markup:
    """Returns a status; the colour only repeats the word."""
    kind = "good" if word in _GOOD else "bad" if word in _BAD else ""
    return Markup(f'<span class="{kind}">{escaped(word)}</span>')


def table(headers: Iterable[object], rows: Iterable[Iterable[object]], *, empty: str) -> Markup:
    """Returns a table; the text `empty` without rows."""
    body = [f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in row)}</tr>" for row in rows]
    if not body:
        return Markup(f"<p>{escaped(empty)}</p>")
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in headers)
    return Markup(
        f'<div class="wide" tabindex="0" role="region" aria-label="Table"><table><thead><tr>{head}'
        f"</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def facts(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Returns names with their values, without those that have none."""
    inner = "".join(
        f"<dt>{escaped(name)}</dt><dd>{escaped(value)}</dd>"
        for name, value in pairs
        if value not in (None, "")
    )
    return Markup(f"<dl>{inner}</dl>")


def block(text: str, *, name: str = "") -> Markup:
    """Returns a text with its line breaks."""
    mark = f' id="{html.escape(name)}"' if name else ""
    return Markup(f'<pre tabindex="0"{mark}>{escaped(text)}</pre>')


def heading(text: object) -> Markup:
    """Returns a heading of a part of a page."""
    return Markup(f"<h2>{escaped(text)}</h2>")


def pages(offset: int, limit: int, total: int) -> Markup:
    """Returns where in a list this page is, with links to its neighbours."""
    last = min(offset + limit, total)
    parts = [f"{min(offset + 1, total)} to {last} of {total}"]
    if offset > 0:
        before = max(offset - limit, 0)
        parts.append(f'<a rel="prev" href="?offset={before}&amp;limit={limit}">Previous</a>')
    if last < total:
        parts.append(f'<a rel="next" href="?offset={last}&amp;limit={limit}">Next</a>')
    return Markup(f"<p>{' · '.join(parts)}</p>")


def document(title: str, *parts: Markup, nonce: str, script: str = "") -> bytes:
    """
    Returns a whole page.

    Args:
        nonce: the value that lets the style and the script of this page be used.
        script: code of this program, never from outside.
    """
    code = f'<script nonce="{nonce}">{script}</script>' if script else ""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escaped(title)} · Apify emulator</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><style nonce="{nonce}">{_STYLE}</style></head><body>'
        '<a class="skip" href="#content">Skip to the content</a><nav aria-label="Pages">'
        f"{link('Runs')} {link('Actors', 'actors')} {link('Storages', 'storage')}</nav>"
        f'<main id="content"><h1>{escaped(title)}</h1>{"".join(parts)}</main>{code}</body></html>'
    ).encode()
