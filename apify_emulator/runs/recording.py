"""
The recordings of a stand-in: what runs of a real Actor gave, kept in files and played again.

`DIR/recordings/NAME/` has `recording.json` and, if there are any, `items.jsonl`, `log.txt` and the
files of records. `recording.json` names each record, and may name the input of the recorded run.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import orjson

from apify_emulator.errors import SetupError
from apify_emulator.json_files import parse_json
from apify_emulator.runs.run import TERMINAL, Status

FOLDER = "recordings"
FACTS = "recording.json"
ITEMS = "items.jsonl"
LOG = "log.txt"
DEFAULT_SECS = 0.05
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedValue:
    """A record of the key-value store: its key, its type and the file with its value."""

    key: str
    content_type: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """
    One run that can be played.

    Attributes:
        given: the input of the recorded run; None plays it for every input.
        cost_usd: None computes it from memory and time.
    """

    folder: Path
    given: dict[str, Any] | None = None
    duration_secs: float = DEFAULT_SECS
    ready_secs: float = 0.0
    outcome: Status = Status.SUCCEEDED
    status_message: str | None = None
    exit_code: int | None = None
    cost_usd: float | None = None
    charged: dict[str, int] | None = None
    records: tuple[RecordedValue, ...] = ()
    log_lines: tuple[str, ...] = ()
    _ends: Sequence[int] = field(default=(), repr=False)

    @property
    def item_count(self) -> int:
        """How many items the run created."""
        return len(self._ends)

    def lines(self, start: int, stop: int) -> bytes:
        """Returns items as JSON Lines, `stop` not included."""
        stop = min(stop, self.item_count)
        if start >= stop:
            return b""
        first = self._ends[start - 1] if start else 0
        with (self.folder / ITEMS).open("rb") as file:
            file.seek(first)
            return file.read(self._ends[stop - 1] - first)


def recordings_in(folder: Path) -> list[Recording]:
    """
    Returns the recordings of a stand-in, in the order of their names.

    Raises:
        SetupError: there is none, or a file cannot be used.
    """
    root = folder / FOLDER
    if not root.is_dir():
        raise SetupError(f"{folder}: a stand-in needs a folder `{FOLDER}`; add it again")
    # A name with a dot is a recording that is being written.
    folders = [path for path in sorted(root.iterdir()) if path.name[0] != "."]
    found = [load_recording(path) for path in folders if (path / FACTS).is_file()]
    if not found:
        raise SetupError(f"{root}: has no folder with a {FACTS}; add or record a run")
    return found


def load_recording(folder: Path) -> Recording:
    """
    Returns a recording; reads it again only if its files have changed.

    Raises:
        SetupError: a file is missing or cannot be used.
    """
    try:
        changed = tuple(
            path.stat().st_mtime_ns if path.is_file() else 0
            for path in (folder / FACTS, folder / ITEMS, folder / LOG)
        )
        return _load(folder, changed)
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as problem:
        raise SetupError(f"{folder}: the recording cannot be used: {problem}") from problem


def choose(
    recordings: Sequence[Recording],
    given: dict[str, Any],
    complete: Callable[[dict[str, Any]], dict[str, Any]],
) -> tuple[list[Recording], list[str]]:
    """
    Returns the recordings for an input: those with exactly this input, else the most similar one.

    Several recordings of one input are several runs with it, which are played in turn. A recording
    without an input is for all inputs that have no recording of their own.

    Args:
        given: the input with its defaults.
        complete: adds the defaults to a recorded input.

    Returns:
        The recordings, and the fields in which the input differs from theirs.
    """
    known = [(one, None if one.given is None else complete(one.given)) for one in recordings]
    exact = [one for one, recorded in known if recorded == given]
    if exact:
        return exact, []
    general = [one for one, recorded in known if recorded is None]
    if general:
        return general[:1], []
    best, recorded = max(known, key=lambda pair: _likeness(pair[1] or {}, given))
    return [best], _differences(recorded or {}, given)


def _differences(known: dict[str, Any], given: dict[str, Any]) -> list[str]:
    names = known.keys() | given.keys()
    return sorted(name for name in names if known.get(name) != given.get(name))


def _likeness(known: dict[str, Any], given: dict[str, Any]) -> int:
    return sum(name in given and given[name] == value for name, value in known.items())


@lru_cache(maxsize=1024)
def _load(folder: Path, changed: tuple[int, ...]) -> Recording:  # noqa: ARG001 - a part of the key
    facts = parse_json((folder / FACTS).read_bytes())
    outcome = Status(facts.get("status", Status.SUCCEEDED))
    if outcome not in TERMINAL:
        raise ValueError(f'"status" must be the status of an ended run, found {outcome}')
    given = facts.get("input")
    if given is not None and not isinstance(given, dict):
        raise TypeError('"input" must be an object')
    log = folder / LOG
    return Recording(
        folder=folder,
        given=given,
        duration_secs=_seconds(facts, "durationSecs", DEFAULT_SECS),
        ready_secs=_seconds(facts, "readySecs", 0.0),
        outcome=outcome,
        status_message=_of_type(facts, "statusMessage", str, "a text"),
        exit_code=_of_type(facts, "exitCode", int, "a whole number"),
        cost_usd=None if facts.get("costUsd") is None else _seconds(facts, "costUsd", 0.0),
        charged=facts.get("chargedEventCounts") or None,
        records=tuple(_record(folder, entry) for entry in facts.get("records", ())),
        log_lines=tuple(log.read_text(errors="replace").splitlines()) if log.is_file() else (),
        _ends=_line_ends(folder / ITEMS),
    )


def _seconds(facts: dict[str, Any], name: str, default: float) -> float:
    value = facts.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ValueError(f'"{name}" must be a number, 0 or more, found {value!r}')
    return float(value)


def _of_type(facts: dict[str, Any], name: str, kind: type[_T], words: str) -> _T | None:
    value = facts.get(name)
    if value is None or (isinstance(value, kind) and not isinstance(value, bool)):
        return value
    raise ValueError(f'"{name}" must be {words}, found {value!r}')


def _record(folder: Path, entry: dict[str, Any]) -> RecordedValue:
    path = folder / Path(entry["file"]).name
    if not path.is_file():
        raise FileNotFoundError(f"the file {path.name} of the record {entry['key']} is missing")
    return RecordedValue(key=entry["key"], content_type=entry["contentType"], path=path)


def _line_ends(path: Path) -> Sequence[int]:
    """Returns where each line ends, and checks that each one is an item."""
    ends = array("Q")
    if not path.is_file():
        return ends
    at = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n") or not isinstance(orjson.loads(line), dict):
                raise ValueError(f"line {number} of {path.name} is not a JSON object and a newline")
            at += len(line)
            ends.append(at)
    return ends
