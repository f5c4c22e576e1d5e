"""
What a run is: its facts, and how the API shows them.

Changes happen in `lives`; this file never waits and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import anyio


class Status(StrEnum):
    """The API's words for where a run is."""

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
    What a run was started with.

    Attributes:
        timeout_secs: 0 for none.
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
    One run. Public fields are what the journal keeps; the others live as long as the process.

    Attributes:
        started_at: when it was created; wall clock in seconds, as all moments here.
        running_since: when it last came out of READY; None before.
        timeout_at: when its time is over; None for never.
        input_text: the input, where it is small text; otherwise it is a record in the store.
        is_virtual: whether its records and items are made up on reading, from a simulation.
        datasets: the ids of a simulation's other datasets, by their aliases.
        items_made: what a simulation has put out by its end.
        seconds_used: time spent RUNNING before `running_since`.
        cost_usd: said by a simulation or by charges; None where time and memory decide.
        permission_level: what its token may do.
        parent_id: of the run that started it; None where the account's owner did.
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
    items_made: int = 0
    restart_count: int = 0
    resurrect_count: int = 0
    migration_count: int = 0
    reboot_count: int = 0
    seconds_used: float = 0.0
    cost_usd: float | None = None
    charged: dict[str, int] | None = None
    charge_keys: list[str] | None = None
    metamorphs: list[dict[str, Any]] | None = None
    general_access: str = "FOLLOW_USER_SETTING"
    permission_level: str = LIMITED_PERMISSIONS
    parent_id: str | None = None
    granted: list[str] = field(default_factory=list)
    attempt: int = 1
    _ended: anyio.Event | None = field(default=None, repr=False)

    @property
    def storages(self) -> Iterator[str]:
        """Yields the ids of its own storages."""
        yield from (self.store_id, self.dataset_id, self.queue_id)
        yield from (self.datasets or {}).values()

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended; a resurrection can bring it back."""
        return self.status in TERMINAL

    def ended(self) -> anyio.Event:
        """Returns the event that is set once the run is terminal."""
        if self._ended is None:
            self._ended = anyio.Event()
        return self._ended

    def wake(self) -> None:
        """Tells all who wait for the end."""
        if self._ended is not None:
            self._ended.set()
            self._ended = None

    def seconds_run(self, moment: float) -> float:
        """Returns how long it has been RUNNING, all incarnations together."""
        if self.running_since is None:
            return self.seconds_used
        end = self.finished_at if self.finished_at is not None else moment
        return self.seconds_used + max(end - self.running_since, 0.0)


def from_document(document: dict[str, Any]) -> Run:
    """Returns the run that the journal remembers."""
    document.pop("pid", None)  # of journals that an earlier version wrote
    document["options"] = RunOptions(**document["options"])
    document["status"] = Status(document["status"])
    return Run(**document)
