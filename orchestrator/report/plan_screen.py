"""A plan on one screen: the figures, the limit, and the first and the last job as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from orchestrator.model.money import money
from orchestrator.report.lines import rounded
from orchestrator.safe_text import one_line

LONGEST_LINE = 1000
MOST_NOTES = 5
MOST_KEYS = 10
TITLES = 10
"""The width of the titles of rows."""
USUAL_WIDTH = 100
JOB_ROWS = (
    ("actor", "actor", "{}"),
    ("task", "task", "{}"),
    ("input", "input", "{}"),
    ("build", "build", "{}"),
    ("memory", "memory_mbytes", "{:,} MB"),
    ("timeout", "timeout_secs", "{:,} s"),
    ("most items", "max_items", "{:,}"),
    ("cap", "max_total_charge_usd", "${:g}"),
    ("retries", "retries", "{}"),
    ("pools", "pools", "{}"),
    ("tags", "tags", "{}"),
    ("needs", "needs", "{}"),
)
"""Title, field and format of the rows of the table of jobs."""

Answer = Mapping[str, Any]


def plan_lines(answer: Answer, width: int | None = None) -> list[str]:
    """
    The lines of a plan for a person.

    Args:
        answer: what `plan --json` prints.
        width: of the terminal; None if the lines go elsewhere.
    """
    jobs, runs = _many(answer["jobs"], "job"), _many(answer["runs_most"], "run")
    reused = f", {answer['reused']:,} of them reused" if answer["reused"] else ""
    later = ", and those of later jobs" if answer["later"] else ""
    return [
        f"{answer['batch']}: {jobs}{reused}, at most {runs}{later}",
        *(_row(title, text) for title, text in _figures(answer)),
        *_jobs(answer, width or USUAL_WIDTH),
        *_notes(answer),
        *_difference(answer.get("diff", {})),
    ]


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _row(title: str, text: str) -> str:
    return f"  {title:{TITLES}}  {text}".rstrip()


def _figures(answer: Answer) -> Iterator[tuple[str, str]]:
    for later in answer["later"]:
        yield "later", later["said"]
    yield "requests", f"about {answer['requests']:,}"
    secs, hours, cost = (
        answer[name] for name in ("duration_secs", "memory_gbyte_hours", "cost_usd")
    )
    limit = f", limited by {answer['binds']}" if answer["binds"] else ""
    if secs is None:
        yield "time", "not known" + limit
    else:
        low, high = rounded(secs["low"]), rounded(secs["high"])
        yield "time", f"about {rounded(secs['likely'])} ({low} to {high}){limit}"
    if hours is not None:
        yield (
            "memory",
            f"about {hours['likely']:,.3g} GB hours ({hours['low']:,.3g} to {hours['high']:,.3g})",
        )
    most = answer["max_cost_usd"]
    within = "" if most is None else f", at most {_money(most)} (max_cost_usd)"
    if cost is None:
        yield "cost", "not known" + within
    else:
        low, high = _money(cost["low"]), _money(cost["high"])
        yield "cost", f"about {_money(cost['likely'])} ({low} to {high}){within}"
    account = {
        name: value for name, value in (answer["account"] or {}).items() if value is not None
    }
    if account:
        yield "account", ", ".join(f"{name} {value:,}" for name, value in account.items())


def _money(usd: float) -> str:
    return money(Decimal(str(usd)))


def _jobs(answer: Answer, width: int) -> Iterator[str]:
    """The first and the last job, side by side."""
    jobs = [*answer["first"][:1], *(answer["last"] or answer["first"][1:])[-1:]]
    if not jobs:
        return
    cell = min(max((width - TITLES - 6) // len(jobs), 16), 72)
    heads = ("first job", "last job") if len(jobs) > 1 else ("the job",)
    yield ""
    yield _cells("", heads, cell)
    yield _cells("key", [job["key"] for job in jobs], cell)
    for title, name, form in JOB_ROWS:
        texts = [_text(job.get(name), form) for job in jobs]
        if any(texts):
            yield _cells(title, [text or "-" for text in texts], cell)


def _text(value: Any, form: str) -> str:
    match value:
        case None | [] | 0:
            return ""
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case list():
            return ", ".join(map(str, value))
        case _:
            return form.format(value)


def _cells(title: str, texts: tuple[str, ...] | list[str], width: int) -> str:
    cut = (one_line(text, width - 2) for text in texts)
    return _row(title, "".join(f"{text:{width}}" for text in cut))


def _notes(answer: Answer) -> Iterator[str]:
    """Prices, the caps that we choose, and what is not known."""
    notes = []
    for target, price in (answer["prices"] or {}).items():
        each = ", ".join(f"{name} ${usd:g}" for name, usd in price["usd"].items())
        notes.append(f"price of {target}: {price['model']}" + (f": {each}" if each else ""))
    for target, cap in (answer["caps"] or {}).items():
        least = cap["floor_usd"]
        floor = "" if least is None else f"; the Actor accepts ${least:g} or more"
        notes.append(
            f"cap of each run of {target}: ${cap['cap_usd']:g}, chosen by us: max_cost_usd needs "
            f"one, and the job has no max_total_charge_usd; {cap['reason']}{floor}"
        )
    notes += [f"not known: {sentence}" for sentence in answer["unknown"]]
    if notes:
        yield ""
    # The platform chose the names of models and events.
    yield from (one_line(note, LONGEST_LINE) for note in notes[:MOST_NOTES])
    if len(notes) > MOST_NOTES:
        yield f"… and {len(notes) - MOST_NOTES} more: --json has all"


def _difference(diff: Mapping[str, Any]) -> Iterator[str]:
    if diff:
        yield ""
    for name, keys in diff.items():
        if isinstance(keys, list):
            shown = ", ".join(keys[:MOST_KEYS]) + (" …" if len(keys) > MOST_KEYS else "")
            yield f"{name}: {len(keys):,}{f' ({shown})' if keys else ''}"
