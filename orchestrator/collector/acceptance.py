"""
Whether what a run made is what its job expects: a run that succeeded with nothing in it did not.

Reads the dataset's file line by line, so that its size does not matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from anyio import to_thread

from orchestrator.collector.item_lines import LARGEST_ITEM_BYTES, item_lines
from orchestrator.collector.item_values import canonical, parse_item, plain
from orchestrator.collector.items_file import items_name
from orchestrator.event_log import LOG
from orchestrator.model.attempts import Collected
from orchestrator.model.jobs import Expectation, Job
from orchestrator.model.runs import Run

SHOWN_CHARS = 80
SHOWN_ITEMS = 10
TOO_LARGE = f"larger than {LARGEST_ITEM_BYTES // 1024**2} MiB: counted, and not parsed"
KEY_BYTES = 16

Check = Callable[[Any], str | None]
"""Says what is wrong with an item; None when nothing is."""


class Acceptance:
    """
    Judges what jobs have collected.

    Args:
        folder: `jobs/` of the batch.
        usual_items: how many items jobs have made lately, the median, by their places in the spec.
        largest_bytes: a larger item is counted and not parsed.
    """

    def __init__(
        self,
        folder: Path,
        usual_items: Mapping[int, float],
        *,
        largest_bytes: int = LARGEST_ITEM_BYTES,
    ) -> None:
        self._folder = folder
        self._usual_items = usual_items
        self._largest_bytes = largest_bytes

    async def complaint(self, job: Job, run: Run, collected: Collected) -> str | None:
        """What is not as expected, for people; None when all is."""
        expect = job.expect
        if expect is None:
            return None
        found = _counted(expect, collected, self._usual_items.get(job.seq))
        if found is not None and collected.elsewhere is not None:
            found = f"{found}; {collected.elsewhere}"
        found = found or _timed(expect, run)
        # The cheap checks come first: the file is read only if they find nothing.
        if found is not None or not expect.reads_items or collected.sha256 is None:
            return found
        path = self._folder / job.key / items_name(job.collect.query)
        checked = await to_thread.run_sync(_check_items, path, expect, self._largest_bytes)
        if checked.too_large:
            LOG.warning("items_not_checked", items=checked.too_large, why=TOO_LARGE)
        return checked.complaint


def _counted(expect: Expectation, collected: Collected, usual: float | None) -> str | None:
    items = collected.items
    if items is None:
        return None
    if expect.min_items is not None and items < expect.min_items:
        return f"it made {items} items, and at least {expect.min_items} were expected"
    if expect.max_items is not None and items > expect.max_items:
        return f"it made {items} items, and at most {expect.max_items} were expected"
    # A quotient, as the share in the spec is one: of a product, 7% of 100 would be above 7.
    if expect.max_drop is not None and usual and (usual - items) / usual > expect.max_drop:
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


@dataclass(slots=True)
class _Checked:
    """
    What the check of all items has found.

    Attributes:
        too_large: items that were not parsed, as text.
        having: how many items have each field of which a share must have it.
    """

    complaint: str | None = None
    too_large: str = ""
    parsed: int = 0
    having: Counter[str] = field(default_factory=Counter)


def _check_items(path: Path, expect: Expectation, largest_bytes: int) -> _Checked:
    checks, checked, too_large = list(_checks(expect)), _Checked(), []
    with path.open("rb") as file:
        for number, line in enumerate(item_lines(file, largest_bytes), start=1):
            if line is None:
                too_large.append(number)
                continue
            checked.complaint = _complaint_of(line, checks, checked, expect.share)
            if checked.complaint is not None:
                # One item decides, so the rest of a large file is not read.
                checked.complaint = f"item {number} {checked.complaint}"
                break
    checked.too_large = ", ".join(map(str, too_large[:SHOWN_ITEMS]))
    if len(too_large) > SHOWN_ITEMS:
        checked.too_large += f" and {len(too_large) - SHOWN_ITEMS} more"
    if checked.complaint is None:
        checked.complaint = _too_rare(checked, expect.share)
    return checked


def _complaint_of(
    line: bytes, checks: Iterable[Check], checked: _Checked, shares: Mapping[str, float]
) -> str | None:
    try:
        item = parse_item(line)
    except ValueError:
        return "is not JSON"
    checked.parsed += 1
    for name in shares:
        checked.having[name] += isinstance(item, dict) and item.get(name) is not None
    return next(filter(None, (check(item) for check in checks)), None)


def _too_rare(checked: _Checked, shares: Mapping[str, float]) -> str | None:
    """Which field too few items have."""
    for name, share in shares.items():
        if checked.parsed and checked.having[name] / checked.parsed < share:
            return (
                f"{checked.having[name]} of {checked.parsed} items have {name} "
                f"({100 * checked.having[name] / checked.parsed:.3g}%), and at least "
                f"{100 * share:g}% were expected"
            )
    return None


def _checks(expect: Expectation) -> Iterator[Check]:
    if expect.fields:
        yield lambda item: _lacks(item, expect.fields)
    if expect.schema is not None:
        # Imports a large library, which most batches do not need.
        from orchestrator.specfile.jobs.item_schema import misfit_finder

        misfit = misfit_finder(expect.schema)
        yield lambda item: _does_not_fit(_tolerant(misfit, item))
    if expect.unique:
        seen: set[bytes] = set()
        yield lambda item: _repeats(item, expect.unique, seen)


def _lacks(item: Any, fields: tuple[str, ...]) -> str | None:
    for name in fields:
        if not isinstance(item, dict) or item.get(name) is None:
            return f"has no {name}"
    return None


def _tolerant(misfit: Check, item: Any) -> str | None:
    try:
        return misfit(item)
    # Few items need the copy: those with lone surrogates or deep nesting.
    except (ValueError, RecursionError):
        return misfit(plain(item))


def _does_not_fit(misfit: str | None) -> str | None:
    return None if misfit is None else f"does not fit the schema: {_short(misfit)}"


def _repeats(item: Any, fields: tuple[str, ...], seen: set[bytes]) -> str | None:
    values = [item.get(field) if isinstance(item, dict) else None for field in fields]
    text = canonical(values)
    # A dataset may have millions of keys, and long ones.
    key = text if len(text) <= KEY_BYTES else blake2b(text, digest_size=KEY_BYTES).digest()
    if key in seen:
        shown = _short(text.decode("utf-8", "replace"))
        return f"has the same {', '.join(fields)} as an earlier one: {shown}"
    seen.add(key)
    return None


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 1]}…"
