"""The words of mistakes: the nearest right name, and errors of libraries in plain words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SYNONYMS = {
    "act": "actor",
    "actid": "actor",
    "actorid": "actor",
    "actorname": "actor",
    "actortaskid": "task",
    "after": "needs",
    "body": "input",
    "budget": "max_cost_usd",
    "buildnumber": "build",
    "buildtag": "build",
    "callbackurl": "request_url",
    "concurrency": "max_runs",
    "contenttype": "input_content_type",
    "crashlimit": "retries",
    "cron": "schedule",
    "csv": "file",
    "dependencies": "needs",
    "dependson": "needs",
    "deps": "needs",
    "errorstrategy": "rules",
    "events": "event_types",
    "failfast": "stop_after_failures",
    "id": "name",
    "inputs": "input",
    "key": "name",
    "label": "tags",
    "labels": "tags",
    "maxattempts": "retries",
    "maxconcurrency": "max_runs",
    "maxconcurrentruns": "max_runs",
    "maxcost": "max_cost_usd",
    "maxfails": "stop_after_failures",
    "maxfailures": "stop_after_failures",
    "maxforks": "max_runs",
    "maxmemory": "max_memory_mbytes",
    "maxparallel": "max_runs",
    "maxresults": "max_items",
    "maxretries": "retries",
    "maxworkers": "max_runs",
    "mem": "memory_mbytes",
    "memmb": "memory_mbytes",
    "memory": "memory_mbytes",
    "memorymb": "memory_mbytes",
    "memorymbytes": "memory_mbytes",
    "onambiguous": "on_unconfirmed",
    "parallelism": "max_runs",
    "parameters": "params",
    "path": "file",
    "payload": "input",
    "queuesize": "max_runs",
    "requires": "needs",
    "retry": "retries",
    "retrycount": "retries",
    "runinput": "input",
    "runtime": "timeout_secs",
    "strategy": "matrix",
    "sweep": "matrix",
    "taskid": "task",
    "threads": "max_runs",
    "time": "timeout_secs",
    "timelimit": "timeout_secs",
    "timeout": "timeout_secs",
    "timeoutseconds": "timeout_secs",
    "timeoutsecs": "timeout_secs",
    "tz": "timezone",
    "url": "request_url",
    "variables": "params",
    "vars": "params",
    "version": "build",
    "waitforfinish": "wait_for_finish_secs",
    "waitsecs": "wait_for_finish_secs",
    "webhook": "webhooks",
    "with": "matrix",
    "workers": "max_runs",
}
"""Names of the API and of similar tools, lower case without `_` and `-`, and our names."""

OF_A_BATCH = "deadline_secs"
"""What the timeout of a job is for a batch."""

EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a table",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "is_instance_of": "a number",
    "list_type": "a list",
    "model_type": "a table",
    "string_type": "text",
    "values_type": "a list of values, { range = [first, last] }, { dates = [first, last] } or "
    "{ file = NAME }",
}

SENTENCES = {
    "finite_number": "must be a finite number, found {found}",
    "greater_than": "must be greater than {gt}, found {found}",
    "greater_than_equal": "must be at least {ge}, found {found}",
    "less_than_equal": "must be at most {le}, found {found}",
    "missing": "is missing",
    "too_long": "must have at most {max_length} values, found {found}",
    "value_error": "{error}",
}

TOML_WORDS: tuple[tuple[str, str], ...] = (
    (r"Cannot declare .* twice", "the table already exists"),
    (r"Cannot overwrite a value", "the name already has a value"),
    (r"Cannot (mutate|redefine) .*", "the table is already complete and cannot be extended"),
    (r"Duplicate inline table key (.*)", "%s already has a value"),
    (r"Expected '=' after a key .*", "expected = after the name"),
    (r"Expected newline or end of document .*", "expected the end of the line"),
    (r"Expected ['\"]+", "the text has no closing quote"),
    (r"Illegal character '\\n'", "the text has no closing quote on its line"),
    (r"(Illegal|Found invalid) character (.*)", "the character %s is not allowed here"),
    (r"Invalid initial character for a key part", "expected a name"),
    (r"Invalid statement", "expected a name, or a [table]"),
    (
        r"Invalid value",
        "expected a value: text in quotes, a number, true or false, a list or a table",
    ),
    (r"Unclosed array", "the list has no closing ]"),
    (r"Unclosed inline table", "the table has no closing } on its line"),
    (
        r"Unescaped '\\' in a string",
        r"write a backslash as \\ in double quotes, or use single quotes",
    ),
    (r"Unterminated string", "the text has no closing quote"),
    (r"Exceeds the limit .*", "a number has more digits than 64 bits hold"),
)

BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), "true"),
    **dict.fromkeys(("false", "no", "off", "0"), "false"),
}
MOST_NAMES = 12
"""How many right names to list if none is close."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The right name for a wrong one: a peer's word for it, or the closest spelling."""
    # Imported late: only a spec with a mistake needs it.
    from difflib import get_close_matches

    names = list(known)
    folded = name.replace("-", "_").lower()
    synonym = SYNONYMS.get(folded.replace("_", ""))
    if synonym == "timeout_secs" and synonym not in names:
        synonym = OF_A_BATCH
    if synonym in names:
        return synonym
    # The API writes `maxItems` where the spec has `max_items`: case and underscores do not count.
    spelt = {right.lower().replace("_", ""): right for right in names}
    close = get_close_matches(folded.replace("_", ""), spelt, n=1, cutoff=0.7)
    return spelt[close[0]] if close else None


def is_one_slip(found: str, right: str) -> bool:
    """
    Whether a name is one misspelling away from another, ignoring case and underscores.

    A misspelling is one letter too many, too few or wrong, or two neighbours swapped.
    """
    wrong, right = (name.replace("_", "").lower() for name in (found, right))
    pairs = enumerate(zip(wrong, right, strict=False))
    same = next((n for n, (a, b) in pairs if a != b), min(len(wrong), len(right)))
    rest, other = wrong[same:], right[same:]
    return (
        rest[1:] == other[1:]
        or rest[1:] == other
        or rest == other[1:]
        or (rest[:2] == other[1::-1] and rest[2:] == other[2:])
    )


def unknown(
    name: str,
    known: Iterable[str],
    what: str = "field",
    homes: Mapping[str, str] | None = None,
) -> str:
    """
    The sentence for an unknown name.

    Args:
        homes: the right tables of names that are valid in another table.
    """
    names = sorted(set(known))
    if homes and name in homes:
        return f"unknown {what} {name!r}; it belongs in {homes[name]}"
    right = nearest(name, names)
    if right is not None:
        return f"unknown {what} {name!r}; did you mean {right!r}?"
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"unknown {what} {name!r}; known here: {', '.join(names[:MOST_NAMES]) or 'none'}{more}"


def plain(error: ErrorDetails) -> str:
    """An error of pydantic in plain words, except unknown fields; see `unknown`."""
    kind, found = error["type"], show(error["input"])
    limits: dict[str, Any] = error.get("ctx", {})
    if kind in EXPECTED:
        return f"expected {EXPECTED[kind]}, found {found}{_instead(error)}"
    if kind in SENTENCES:
        return SENTENCES[kind].format(found=found, **limits)
    match kind:
        case "literal_error":
            return _one_of(limits["expected"], error["input"])
        case "too_short" if limits["min_length"] > 1:
            return f"must have at least {limits['min_length']} values, found {found}"
        case "too_short" | "string_too_short":
            return "must not be empty"
        case _:
            return f"{error['msg'][:1].lower()}{error['msg'][1:]}, found {found}"


def _instead(error: ErrorDetails) -> str:
    """What to write for a value of the wrong type, if that is known."""
    found, kind, name = error["input"], error["type"], str(error["loc"][-1])
    if kind == "list_type" and isinstance(found, str):
        return f"; write [{show(found)}]"
    if not isinstance(found, str):
        return ""
    text = found.strip().replace(",", "").replace("_", "").lower()
    size = re.fullmatch(r"(\d+(?:\.\d+)?) ?(mb|mib|gb|gib)", text)
    if size and name.endswith("mbytes"):
        return f"; write {float(size[1]) * (1024 if size[2].startswith('g') else 1):g}"
    is_number = re.fullmatch(r"[-+]?\d+(?:\.\d+)?", text)
    if is_number and kind in ("int_type", "float_type", "is_instance_of"):
        return f"; write {text} without quotes"
    if name.endswith("_secs"):
        return '; write seconds, or a text such as "10m" (s, m, h, d, w)'
    if kind == "bool_type" and text in BOOLEANS:
        return f"; write {BOOLEANS[text]} without quotes"
    return ""


def plain_toml(said: str) -> str:
    """The reason why a text is not valid TOML, in plain words."""
    for pattern, words in TOML_WORDS:
        if found := re.fullmatch(pattern, said, re.DOTALL):
            return words.replace("%s", str(found[found.lastindex or 0]))
    return said[:1].lower() + said[1:]


def show(value: object) -> str:
    """A value as a user would write it, cut to one line."""
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case dict():
            return "a table"
        case list():
            return "a list"
        case str():
            text = json.dumps(value, ensure_ascii=False)
        case int() if abs(value) >= 10**60:
            return "a number of more than 60 digits"
        case _:
            text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _one_of(expected: str, found: object) -> str:
    words = re.findall(r"'([^']*)'", expected)
    # A short list of words says more than a guess.
    right = nearest(found, words) if isinstance(found, str) and len(words) > 3 else None
    if right is not None:
        return f'unknown value {show(found)}; did you mean "{right}"?'
    return f"expected {expected.replace(chr(39), chr(34))}, found {show(found)}"
