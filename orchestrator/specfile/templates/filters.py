"""Our own filters of templates: those for keys and days, and limited forms of Jinja2's."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from urllib.parse import quote

import orjson

from orchestrator.specfile.diagnostics import show

LONGEST_TEXT = 1_000_000
LONGEST_SLUG = 100
DIGEST_LENGTH = 12
"""In hex digits: among a million texts, two equal ones are improbable."""
FIT = re.compile(r"[a-z0-9_=-][a-z0-9._=-]*")
SPACES = re.compile(r"\s+")
NOT_TEXT = frozenset({list, tuple, dict})
"""Types whose text would be Python's."""
NOT_FIT = re.compile(r"[^a-z0-9._=]+")


class TooLong(ValueError):
    """A filter would produce more text than a template may."""


def as_text(value: object) -> object:
    """
    A value that becomes a part of a text.

    Raises:
        ValueError: it is a list or a table.
    """
    if value.__class__ in NOT_TEXT:
        raise ValueError(why_no_text(value))
    return value


def why_no_text(value: object) -> str:
    """The sentence for a list or a table that is no part of a text."""
    joined = "" if isinstance(value, Mapping) else "{{ NAME | join(', ') }} or "
    return (
        f"{show(value)} cannot be a part of a text; write {{{{ NAME }}}} alone to pass it as it "
        f"is, or {joined}{{{{ NAME | json }}}} for a text"
    )


def objects(value: object, field: str) -> list[dict[str, object]]:
    """A list of tables with one field each: `[{url: …}, …]`."""
    if not isinstance(value, (list, tuple)):
        raise ValueError(  # noqa: TRY004 - the message is for the user
            f"objects needs a list, found {show(value)}; of one value, write "
            f'[{{ {field} = "{{{{ NAME }}}}" }}]'
        )
    return [{field: element} for element in value]


def slug(value: object) -> str:
    """
    Makes any text valid in a job key: lower case, without spaces, never empty.

    Case, spaces at the ends and the length of a run of spaces are lost; a run becomes a hyphen. If
    anything else is lost, it adds a digest of the whole text, so that different texts stay
    different.
    """
    whole = str(as_text(value))
    if len(whole) <= LONGEST_SLUG and FIT.fullmatch(whole):
        return whole
    plain = SPACES.sub("-", whole.strip()).lower()
    if whole.isascii() and len(plain) <= LONGEST_SLUG and FIT.fullmatch(plain):
        return plain
    # NFKD splits é into e and an accent.
    letters = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    fit = NOT_FIT.sub("-", letters.lower())[: LONGEST_SLUG - DIGEST_LENGTH - 1].strip("-.")
    # A text may hold half of a surrogate pair, which UTF-8 cannot encode.
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{fit}-{digest[:DIGEST_LENGTH]}".lstrip("-")


def to_json(value: object) -> str:
    """A value as JSON text."""
    return orjson.dumps(value).decode()


def to_quoted(value: object) -> str:
    """A value percent-encoded for a URL."""
    return quote(str(as_text(value)), safe="")


def replace(value: object, old: str, new: str) -> str:
    """A text with a part of it replaced throughout."""
    text = str(as_text(value))
    # Checked before: the text alone could fill the memory.
    if len(text) + text.count(old) * len(new) > LONGEST_TEXT:
        raise TooLong("the replaced text would be too long")
    return text.replace(old, new)


def join(value: Iterable[object], between: object = "") -> str:
    """The elements of a list as text, joined by a separator."""
    parts, separator = [str(as_text(part)) for part in value], str(between)
    if sum(map(len, parts)) + len(parts) * len(separator) > LONGEST_TEXT:
        raise TooLong("the joined text would be too long")
    return separator.join(parts)


def rounded(value: float, precision: int = 0) -> float:
    """A number rounded to so many digits."""
    return round(float(value), max(-400, min(precision, 400)))


def days(value: object, count: int) -> str:
    """A day such as `2026-11-25`, so many days later, or earlier for a negative count."""
    try:
        return (date.fromisoformat(str(value)) + timedelta(days=int(count))).isoformat()
    except OverflowError as error:
        raise ValueError(f"{count} days from {value} are outside the calendar") from error
