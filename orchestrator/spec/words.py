"""
What mistakes are called: the nearest right name, and pydantic's findings in plain words.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

SYNONYMS = {
    "act": "actor",
    "actid": "actor",
    "actor_id": "actor",
    "actorid": "actor",
    "actortaskid": "task",
    "body": "input",
    "buildnumber": "build",
    "concurrency": "max_runs",
    "contenttype": "input_content_type",
    "forcepermissionlevel": "force_permission_level",
    "id": "name",
    "inputfile": "input_file",
    "key": "name",
    "max_attempts": "retries",
    "max_concurrency": "max_runs",
    "max_concurrent_runs": "max_runs",
    "max_memory": "max_memory_mbytes",
    "maxconcurrency": "max_runs",
    "maxconcurrentruns": "max_runs",
    "maxitems": "max_items",
    "maxretries": "retries",
    "maxtotalchargeusd": "max_total_charge_usd",
    "memory": "memory_mbytes",
    "memorymb": "memory_mbytes",
    "memorymbytes": "memory_mbytes",
    "on_ambiguous": "on_unconfirmed",
    "outputrecordkey": "output_record_key",
    "params": "matrix",
    "restartonerror": "restart_on_error",
    "retry": "retries",
    "run_input": "input",
    "runinput": "input",
    "sweep": "matrix",
    "task_id": "task",
    "taskid": "task",
    "timeout": "timeout_secs",
    "timeoutsecs": "timeout_secs",
    "waitforfinish": "wait_for_finish_secs",
    "workers": "max_runs",
}

EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a table",
    "string_type": "text",
    "tuple_type": "a list",
}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """
    The right name for a wrong one: a peer's word for it, or the closest spelling.
    """
    names = list(known)
    folded = name.replace("-", "_").lower()
    synonym = SYNONYMS.get(folded) or SYNONYMS.get(folded.replace("_", ""))
    if synonym in names:
        return synonym
    close = get_close_matches(folded, names, n=1, cutoff=0.7)
    return close[0] if close else None


def unknown(name: str, known: Iterable[str], what: str = "field") -> str:
    """
    The sentence for an unknown name.
    """
    names = sorted(known)
    right = nearest(name, names)
    if right is not None:
        return f"unknown {what} {name!r}; did you mean {right!r}?"
    return f"unknown {what} {name!r}; known here: {', '.join(names) or 'none'}"


def plain(error: ErrorDetails) -> str:
    """
    One of pydantic's findings in plain words; unknown fields are `unknown`'s to tell.
    """
    kind, found = error["type"], show(error["input"])
    limits: dict[str, Any] = error.get("ctx", {})
    if kind in EXPECTED:
        return f"expected {EXPECTED[kind]}, found {found}"
    match kind:
        case "missing":
            return "is missing"
        case "literal_error":
            return f"expected {limits['expected'].replace(chr(39), chr(34))}, found {found}"
        case "greater_than_equal":
            return f"must be at least {limits['ge']}, found {found}"
        case "greater_than":
            return f"must be greater than {limits['gt']}, found {found}"
        case "less_than_equal":
            return f"must be at most {limits['le']}, found {found}"
        case "too_short" | "string_too_short":
            return "must not be empty"
        case "too_long" | "string_too_long":
            return f"is too long (at most {limits.get('max_length')})"
        case "value_error":
            return str(limits["error"])
        case _:
            return f"{error['msg'][:1].lower()}{error['msg'][1:]}, found {found}"


def show(value: object) -> str:
    """
    A value as a user would write it, cut to one line.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = repr(value).replace("'", '"') if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
