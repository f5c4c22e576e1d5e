"""
Whether what a run made is what its job expects: a run that succeeded with nothing in it did not.

Reads the dataset's file line by line, so that its size does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
from anyio import to_thread

from orchestrator.collector.item_lines import LARGEST_ITEM_BYTES, item_lines
from orchestrator.collector.items import items_name
from orchestrator.model.attempts import Collected
from orchestrator.model.jobs import Expectation, Job
from orchestrator.model.runs import Run

SHOWN_CHARS = 80
TOO_LARGE = (
    f"it is larger than {LARGEST_ITEM_BYTES // 1024**2} MiB, so it is counted and not parsed"
)
KEY_BYTES = 16

Check = Callable[[Any], str | None]
"""
Says what is wrong with an item; None when nothing is.
"""


class Acceptance:
    """
    Judges what jobs have collected.

    Args:
        folder: `jobs/` of the batch.
        usual_items: how many items jobs have made lately, the median, by their places in the spec.
    """

    def __init__(self, folder: Path, usual_items: Mapping[int, float]) -> None:
        self._folder = folder
        self._usual_items = usual_items

    async def complaint(self, job: Job, run: Run, collected: Collected) -> str | None:
        """
        What is not as expected, for people; None when all is.
        """
        expect = job.expect
        if expect is None:
            return None
        found = _counted(expect, collected, self._usual_items.get(job.seq)) or _timed(expect, run)
        if found is not None or not expect.looks_at_items or collected.sha256 is None:
            return found
        path = self._folder / job.key / items_name(job.collect.query)
        return await to_thread.run_sync(_look_at_items, path, expect)


def _counted(expect: Expectation, collected: Collected, usual: float | None) -> str | None:
    items = collected.items
    if items is None:
        return None
    if expect.min_items is not None and items < expect.min_items:
        return f"it made {items} items, and at least {expect.min_items} were expected"
    if expect.max_drop is not None and usual and items < usual * (1 - expect.max_drop):
        return (
            f"it made {items} items, {100 * (1 - items / usual):.0f}% fewer than the usual "
            f"{usual:g} of earlier batches, and at most {100 * expect.max_drop:g}% were expected"
        )
    return None


def _timed(expect: Expectation, run: Run) -> str | None:
    if expect.max_duration_secs is None or run.finished_at is None:
        return None
    secs = (run.finished_at - run.started_at).total_seconds()
    if secs <= expect.max_duration_secs:
        return None
    return f"it took {secs:.1f} s, and at most {expect.max_duration_secs:g} s were expected"


def _look_at_items(path: Path, expect: Expectation) -> str | None:
    checks = list(_checks(expect))
    with path.open("rb") as file:
        for number, line in enumerate(item_lines(file), start=1):
            if line is None:
                return f"item {number} was not checked: {TOO_LARGE}"
            try:
                item = orjson.loads(line)
            except ValueError:
                return f"line {number} of {path.name} is no JSON"
            for check in checks:
                complaint = check(item)
                if complaint is not None:
                    return f"item {number} {complaint}"
    return None


def _checks(expect: Expectation) -> Iterator[Check]:
    if expect.fields:
        yield lambda item: _lacks(item, expect.fields)
    if expect.schema is not None:
        from orchestrator.spec.json_schema import misfit_finder

        misfit = misfit_finder(expect.schema)
        yield lambda item: _does_not_fit(misfit(item))
    if expect.unique:
        seen: set[bytes] = set()
        yield lambda item: _repeats(item, expect.unique, seen)


def _lacks(item: Any, fields: tuple[str, ...]) -> str | None:
    for field in fields:
        if not isinstance(item, dict) or item.get(field) is None:
            return f"has no {field}"
    return None


def _does_not_fit(misfit: str | None) -> str | None:
    return None if misfit is None else f"does not fit the schema: {_short(misfit)}"


def _repeats(item: Any, fields: tuple[str, ...], seen: set[bytes]) -> str | None:
    values = [item.get(field) if isinstance(item, dict) else None for field in fields]
    text = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
    # A dataset may have millions of keys, and long ones.
    key = text if len(text) <= KEY_BYTES else blake2b(text, digest_size=KEY_BYTES).digest()
    if key in seen:
        return f"has the same {', '.join(fields)} as an earlier one: {_short(text.decode())}"
    seen.add(key)
    return None


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 1]}…"
