"""Whether a run belongs to the start that was sent. No clock, no I/O."""

from __future__ import annotations

import re
from collections.abc import Container
from datetime import UTC, datetime, timedelta

import orjson

from orchestrator.model.attempts import Attempt
from orchestrator.model.ids import RunId
from orchestrator.model.runs import Run

MARK = re.compile(r"\(attempt ([a-z0-9.]+)\)")
"""The mark of a send within a user agent."""

OLDEST = timedelta(seconds=60)
"""How much earlier than its intent, by the platform's clock, a run may say that it began."""

UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)


def mismatch(attempt: Attempt, run: Run, taken: Container[RunId]) -> str | None:
    """
    Why the run in the answer to a start cannot be the run of that start; None when it can.

    Args:
        attempt: as it was sent.
        taken: the runs that belong to attempts.
    """
    resurrects = attempt.remedy.resurrects
    if resurrects is not None:
        return None if run.id == resurrects else f"the answer is about run {run.id}"
    if run.id in taken:
        return f"the answer names run {run.id}, which another attempt has"
    if _is_older(run, attempt.platform_at):
        return f"the answer names run {run.id}, which began before the start was sent"
    mark = MARK.search(run.user_agent or "")
    if mark is not None and mark[1] != attempt.mark:
        return f"the answer names run {run.id}, which has the mark of another start"
    return None


def contains(record: bytes, sent: bytes) -> bool:
    """
    Whether an INPUT record holds what was sent.

    JSON objects are compared by the properties that were sent, because the platform adds those of
    a task's input and the defaults of the input schema. Anything else must be the same bytes.
    """
    try:
        held, wanted = orjson.loads(record), orjson.loads(sent)
    except orjson.JSONDecodeError:
        return record == sent
    if not (isinstance(held, dict) and isinstance(wanted, dict)):
        return bool(held == wanted)
    return all(name in held and held[name] == value for name, value in wanted.items())


def _is_older(run: Run, intended_at: datetime | None) -> bool:
    # A run whose start time the platform does not show has the time 0, which says nothing.
    return intended_at is not None and UNKNOWN_TIME < run.started_at < intended_at - OLDEST
