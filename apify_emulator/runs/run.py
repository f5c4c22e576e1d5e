"""
What a run is: its facts and its status.

Only `lifecycle` changes the status; this module never waits and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import anyio

from apify_emulator.runs.run_usage import RunUsage


class Status(StrEnum):
    """The statuses of a run in the API's words."""

    READY = "READY"
    RUNNING = "RUNNING"
    TIMING_OUT = "TIMING-OUT"
    ABORTING = "ABORTING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED-OUT"
    ABORTED = "ABORTED"


LIMITED_PERMISSIONS = "LIMITED_PERMISSIONS"
FULL_PERMISSIONS = "FULL_PERMISSIONS"

TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.ABORTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """
    The options that a run was started with.

    Attributes:
        timeout_secs: 0 for no timeout.
    """

    build: str
    timeout_secs: int
    memory_mbytes: int
    max_items: int | None = None
    max_total_charge_usd: float | None = None
    restart_on_error: bool = False


@dataclass(slots=True, kw_only=True)
class Run:
    """
    One run. The journal keeps the public fields.

    Attributes:
        started_at: when it was created; wall clock in seconds, as all moments here.
        running_since: when it left READY the last time; None before.
        timeout_at: when its timeout ends; None without a timeout.
        input_text: the input of a simulated run; the input of other runs is a record in the store.
        is_virtual: whether it is simulated: its records and items are computed when they are read.
        played: the folder of the recording that a run of a stand-in plays.
        datasets: the ids of a simulation's other datasets, by alias.
        items_made: how many items a simulation has created by its end.
        seconds_used: time spent RUNNING before `running_since`.
        charge_keys: when each idempotency key of a charge was used.
        pricing: of the Actor when the run started, as the API shows it.
        paid_items: how many items were pushed to its own dataset, with a price per item.
        cost_usd: from a simulation; None when time and memory decide.
        permission_level: what its token may do.
        parent_id: of the run that started it; None when the account's owner started it.
        granted: the ids of the storages that its input names.
        attempt: how often a run with this input was started or resurrected, counted from 1.
    """

    id: str
    actor_id: str
    task_id: str | None = None
    started_at: float
    finished_at: float | None = None
    running_since: float | None = None
    timeout_at: float | None = None
    status: Status = Status.READY
    status_message: str | None = None
    is_message_terminal: bool = False
    origin: str = "API"
    user_agent: str | None = None
    client_ip: str | None = None
    options: RunOptions
    build_id: str
    build_number: str
    exit_code: int | None = None
    store_id: str
    dataset_id: str
    queue_id: str
    datasets: dict[str, str] | None = None
    input_key: str = "INPUT"
    input_text: str | None = None
    input_type: str | None = None
    input_bytes: int = 0
    is_virtual: bool = False
    played: str | None = None
    items_made: int = 0
    restart_count: int = 0
    resurrect_count: int = 0
    migration_count: int = 0
    reboot_count: int = 0
    seconds_used: float = 0.0
    cost_usd: float | None = None
    charged: dict[str, int] | None = None
    charge_keys: dict[str, float] | None = None
    pricing: dict[str, Any] | None = None
    paid_items: int = 0
    metamorphs: list[dict[str, Any]] | None = None
    general_access: str = "FOLLOW_USER_SETTING"
    permission_level: str = LIMITED_PERMISSIONS
    parent_id: str | None = None
    granted: list[str] = field(default_factory=list)
    attempt: int = 1
    usage: RunUsage | None = None
    _ended: anyio.Event | None = field(default=None, repr=False)

    @property
    def storages(self) -> Iterator[str]:
        """Yields the ids of its own storages."""
        yield from (self.store_id, self.dataset_id, self.queue_id)
        yield from (self.datasets or {}).values()

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended; it can still be resurrected."""
        return self.status in TERMINAL

    def ended(self) -> anyio.Event:
        """Returns the event that is set once the run is terminal."""
        if self._ended is None:
            # Created only if somebody waits, because most of thousands of runs need none.
            self._ended = anyio.Event()
        return self._ended

    def wake(self) -> None:
        """Wakes all who wait for the end."""
        if self._ended is not None:
            self._ended.set()
            # A resurrected run needs a new event.
            self._ended = None

    def seconds_run(self, moment: float) -> float:
        """Returns how long it has been RUNNING, all its processes together."""
        if self.running_since is None:
            return self.seconds_used
        end = self.finished_at if self.finished_at is not None else moment
        return self.seconds_used + max(end - self.running_since, 0.0)


def from_document(document: dict[str, Any]) -> Run:
    """Returns the run of a journal document."""
    document.pop("pid", None)  # journals of an earlier version have it
    if isinstance(document.get("charge_keys"), list):  # and these
        document["charge_keys"] = dict.fromkeys(document["charge_keys"], 0.0)
    document["options"] = RunOptions(**document["options"])
    document["status"] = Status(document["status"])
    if document.get("usage") is not None:
        document["usage"] = RunUsage(**document["usage"])
    return Run(**document)
