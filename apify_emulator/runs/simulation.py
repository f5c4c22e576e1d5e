"""
What a simulated Actor does: its input decides everything, and there is no process.

Items, output and log are computed when they are read, so that a finished run needs no file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import orjson

from apify_emulator.errors import SetupError
from apify_emulator.refusals import ApiError, invalid_input
from apify_emulator.runs.charging import item_limit
from apify_emulator.runs.recording import Recording, load_recording
from apify_emulator.runs.run import TERMINAL, Run, Status
from apify_emulator.times import iso, now

_NO_OUTPUT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """
    The input of a simulated run.

    Attributes:
        duration_secs: time RUNNING until the outcome.
        items: how many items the run creates; each is `item` and its `index`, counted from 0.
        datasets: how many items the run creates in other datasets at its end, by alias.
        item_bytes: the approximate size of each item; a filler makes it so large.
        outcome: the status at the end.
        fail_attempts: how many runs with exactly this input end as `fail_outcome` first;
            resurrections and restarts count too.
        output: the OUTPUT record of a run that succeeds.
        exit_code: None means 0 for success and 1 for failure.
        cost_usd: at the end; None computes it from memory and time.
        log_lines: how many lines, or the lines themselves.
        ready_secs: time READY before RUNNING.
        push_interval_secs: the time between two items while RUNNING, the rest follows at the end;
            None creates all of them at the end.
        abort_secs: how long a graceful abort takes, at most 30.
        recording: of a stand-in, which has the items, the records and the log; not in an input.
    """

    duration_secs: float = 0.05
    items: int = 10
    item: dict[str, Any] | None = None
    datasets: dict[str, int] = field(default_factory=dict)
    item_bytes: int = 0
    outcome: Status = Status.SUCCEEDED
    fail_attempts: int = 0
    fail_outcome: Status = Status.FAILED
    output: Any = _NO_OUTPUT
    exit_code: int | None = None
    status_message: str | None = None
    cost_usd: float | None = None
    log_lines: int | list[str] = 0
    ready_secs: float = 0.0
    push_interval_secs: float | None = None
    abort_secs: float = 0.0
    recording: Recording | None = None

    def ends_as(self, attempt: int) -> Status:
        """Returns how the n-th attempt ends, counted from 1."""
        return self.fail_outcome if attempt <= self.fail_attempts else self.outcome

    @property
    def has_output(self) -> bool:
        """Whether there is an OUTPUT record; its value may be null."""
        return self.output is not _NO_OUTPUT


_FIELDS = frozenset(known.name for known in fields(Script)) - {"recording"}
_NUMBERS = frozenset(
    {
        "duration_secs",
        "items",
        "item_bytes",
        "fail_attempts",
        "cost_usd",
        "ready_secs",
        "push_interval_secs",
        "abort_secs",
    }
)
_WHOLE = ("items", "item_bytes", "fail_attempts")


def read_script(given: dict[str, Any]) -> Script:
    """
    Returns the script of an input; ignores fields that do not belong to the script.

    Raises:
        ApiError: a field of the script has a value that is not valid (400, `invalid-input`).
    """
    chosen = {name: given[name] for name in _FIELDS & given.keys()}
    for name, value in tuple(chosen.items()):
        # Null means the default.
        if value is None and name in _NUMBERS:
            del chosen[name]
        elif name in _NUMBERS:
            _check_number(name, value)
        elif name in ("outcome", "fail_outcome"):
            chosen[name] = _status(name, value)
    if not isinstance(chosen.get("item", {}), (dict, type(None))):
        raise invalid_input("Input is not valid: Field input.item must be object")
    datasets = chosen.get("datasets", {})
    # `default` is the alias of the run's own dataset.
    if not isinstance(datasets, dict) or "default" in datasets:
        raise invalid_input("Input is not valid: Field input.datasets must be object")
    for name, value in datasets.items():
        _check_number(f"datasets.{name}", value, int)
    return Script(**chosen)


def _check_number(
    name: str, value: Any, kind: type[int] | tuple[type[int], type[float]] | None = None
) -> None:
    kind = kind or (int if name in _WHOLE else (int, float))
    if isinstance(value, bool) or not isinstance(value, kind) or value < 0:
        words = "a whole number" if kind is int else "a number"
        raise invalid_input(f"Input is not valid: Field input.{name} must be {words}, 0 or more")


def _status(name: str, value: Any) -> Status:
    if value in TERMINAL:
        return Status(value)
    words = ", ".join(sorted(TERMINAL))
    raise invalid_input(f"Input is not valid: Field input.{name} must be one of {words}")


def script_of(run: Run) -> Script:
    """
    Returns the script of a simulated run, whose input was checked when it was started.

    An input that is not JSON has the default script.

    Raises:
        ApiError: the recording that it plays was deleted or spoiled (404).
    """
    if run.played is not None:
        try:
            return script_of_recording(load_recording(Path(run.played)))
        except SetupError as problem:
            raise ApiError(404, "record-not-found", str(problem)) from problem
    if not run.input_text or (run.input_type and "json" not in run.input_type):
        return Script()
    return read_script(orjson.loads(run.input_text))


def script_of_recording(recording: Recording) -> Script:
    """Returns the script that plays a recording; its items arrive evenly."""
    count, secs = recording.item_count, recording.duration_secs
    return Script(
        duration_secs=secs,
        items=count,
        outcome=recording.outcome,
        exit_code=recording.exit_code,
        status_message=recording.status_message,
        cost_usd=recording.cost_usd,
        ready_secs=recording.ready_secs,
        push_interval_secs=secs / (count + 1) if count and secs >= 1 else None,
        log_lines=list(recording.log_lines),
        recording=recording,
    )


def items_so_far(run: Run, script: Script, moment: float) -> int:
    """Returns how many items the run has created."""
    if not run.is_terminal and script.push_interval_secs and run.running_since is not None:
        made = int((moment - run.running_since) / script.push_interval_secs)
        return max(min(made, _planned_items(run, script)), run.items_made)
    return run.items_made


def share_done(run: Run, script: Script, status: Status, moment: float) -> float:
    """Returns the share of its work that a run has done by its end, from 0 to 1."""
    if run.running_since is None:
        return 0.0
    ran = max(moment - run.running_since, 0.0)
    if status in (Status.SUCCEEDED, Status.FAILED) or ran >= script.duration_secs:
        return 1.0
    return ran / script.duration_secs


def items_at_end(run: Run, script: Script, share: float, moment: float) -> int:
    """
    Returns how many items the run has at its end.

    A resurrected run continues where it stopped, so there are never fewer than before.
    """
    if share < 1.0 and script.push_interval_secs:
        return items_so_far(run, script, moment)
    return max(int(_planned_items(run, script) * share), run.items_made)


def _planned_items(run: Run, script: Script) -> int:
    """Returns how many items the run creates: its Actor keeps to the limits of its pricing."""
    limit = item_limit(run)
    return script.items if limit is None else min(script.items, limit)


def item_lines(script: Script, start: int, stop: int) -> bytes:
    """Returns items as JSON Lines, `stop` not included."""
    if script.recording is not None:
        return script.recording.lines(start, stop)
    template = {name: value for name, value in (script.item or {}).items() if name != "index"}
    # 24 bytes are about the size of the index, its name and the punctuation.
    room = script.item_bytes - len(orjson.dumps(template)) - 24
    if room > 0:
        template["filler"] = "x" * room
    # The common part of all items is encoded only once.
    head = orjson.dumps(template)[:-1]
    if template:
        head += b","
    return b"".join([b'%b"index":%d}\n' % (head, index) for index in range(start, stop)])


def log_text(run: Run, script: Script) -> bytes:
    """Returns the log of a simulated run so far."""
    if run.running_since is None:
        return b""
    if script.recording is not None and script.recording.log_lines:
        return _recorded_log(run, script)
    lines = script.log_lines
    if isinstance(lines, int):
        lines = [f"Line {number}" for number in range(1, lines + 1)]
    moment = iso(run.running_since)
    said = ["ACTOR: Simulated run started.", *lines]
    if run.is_terminal:
        said.append(f"ACTOR: Simulated run ended: {run.status}.")
    return "".join(f"{moment} {line}\n" for line in said).encode()


def _recorded_log(run: Run, script: Script) -> bytes:
    """Returns a recorded log, which has the times of the recorded run; the share done so far."""
    lines = script.log_lines
    assert isinstance(lines, list)  # noqa: S101 - `script_of_recording` gives a list
    moment = run.finished_at if run.finished_at is not None else now()
    share = share_done(run, script, run.status, moment)
    return "".join(f"{line}\n" for line in lines[: max(int(len(lines) * share), 1)]).encode()
