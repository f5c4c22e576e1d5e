"""The files of a job, as much of them as a page shows; everything is made fit to be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from orchestrator.ledger.records import JobReport
from orchestrator.report.lines import size
from orchestrator.report.log_text import LogText
from orchestrator.safe_text import plain

MOST_ITEMS = 100
MOST_COLUMNS = 12
LONGEST_CELL = 200
LONGEST_LINE = 1_000_000
"""Bytes of an item; a longer one is left out, because a browser could not show it."""

MOST_BYTES = 16_000_000
"""Of the items that are read at all."""

LONGEST_TEXT = 100_000
LOG_TAIL = 64_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsView:
    """
    The first items of a job.

    Attributes:
        words: how many there are, and how many are shown.
        text: of a file that is not JSON Lines; empty otherwise.
    """

    words: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    text: str = ""


def items_view(folder: Path, report: JobReport) -> ItemsView:
    """The first hundred items of a job, from its file."""
    name = f"items.{report.job.collect.query.format}"
    path = folder / name
    if not path.is_file():
        return ItemsView(words="None on disk.")
    words = f"{size(path.stat().st_size)} in {name}"
    if report.items is not None:
        words = f"{report.items:,} items, {words}"
    if path.suffix != ".jsonl":
        return ItemsView(words=f"{words}; its beginning:", text=_beginning(path))
    items = list(islice(_items(path), MOST_ITEMS))
    columns = _columns(items)
    rows = [[_cell(item, column) for column in columns] for item in items]
    if len(items) == MOST_ITEMS:
        words = f"{words}; the first {MOST_ITEMS}:"
    names = [plain(column) for column in columns]
    return ItemsView(words=words, columns=names or ["item"], rows=rows)


def input_text(folder: Path, report: JobReport) -> str | None:
    """The input of a job, with expressions in place of secrets; None if it is the task's own."""
    path = folder / "input.json"
    if path.is_file():
        body = _beginning(path)
    elif report.sent.input.body is not None:
        body = report.sent.input.body[:LONGEST_TEXT].decode("utf-8", "replace")
    elif report.job.input.path is not None:
        return plain(f"the file {report.job.input.path}")
    else:
        return None
    with suppress(ValueError):
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
    return plain(body)


def log_tail(path: Path) -> tuple[str, int] | None:
    """The last lines of a log, and the size of the whole; None if there is none."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            whole = path.stat().st_size
            file.seek(max(0, whole - LOG_TAIL))
            tail = file.read(LOG_TAIL)
    except OSError:
        return None
    if whole > LOG_TAIL:
        # The first line is a part of one.
        tail = tail.partition(b"\n")[2]
    log = LogText()
    return plain(log.feed(tail) + log.finish()), whole


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        return plain(file.read(LONGEST_TEXT).decode("utf-8", "replace"))


def _items(path: Path) -> Iterator[Any]:
    read = 0
    with path.open("rb") as file:
        while read < MOST_BYTES and (line := file.readline(LONGEST_LINE)):
            read += len(line)
            if not line.endswith(b"\n") and len(line) == LONGEST_LINE:
                yield {"": f"an item of more than {size(LONGEST_LINE)}"}
                read += _skip_line(file)
                continue
            try:
                yield orjson.loads(line)
            except ValueError:
                yield {"": line.decode("utf-8", "replace")}


def _skip_line(file: Any) -> int:
    skipped = 0
    while skipped < MOST_BYTES and (piece := file.readline(LONGEST_LINE)):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _columns(items: Sequence[Any]) -> list[str]:
    names: dict[str, None] = {}
    for item in items:
        names.update(dict.fromkeys(item if isinstance(item, dict) else ("",)))
    return list(names)[:MOST_COLUMNS]


def _cell(item: Any, column: str) -> str:
    if not isinstance(item, dict):
        value = item if column == "" else None
    elif column not in item:
        return ""
    else:
        value = item[column]
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    text = plain(text)
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"
