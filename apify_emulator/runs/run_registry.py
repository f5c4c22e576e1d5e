"""All runs: by id, by storage, and in the order of their start."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable

from apify_emulator.refusals import record_not_found
from apify_emulator.runs.run import Run
from apify_emulator.runs.run_usage import RunUsage
from apify_emulator.times import now


class RunRegistry:
    """
    All runs, and the resources that the active ones use together.

    Attributes:
        memory_mbytes: of the active runs.
        ended_usd: the cost of the runs that have ended, those that were deleted included.
    """

    def __init__(self) -> None:
        self.by_id: dict[str, Run] = {}
        self.by_storage: dict[str, Run] = {}
        self.all: list[Run] = []
        self.of_actor: defaultdict[str, list[Run]] = defaultdict(list)
        self.of_task: defaultdict[str, list[Run]] = defaultdict(list)
        self._active: dict[str, Run] = {}
        self.ended_usd = 0.0
        self.memory_mbytes = 0
        self.attempts: dict[str, int] = {}

    @property
    def active(self) -> int:
        """How many runs have not ended."""
        return len(self._active)

    @property
    def active_runs(self) -> Iterable[Run]:
        """The runs that have not ended."""
        return self._active.values()

    def moment(self) -> float:
        """Returns now, never before the start of the newest run: lists are in order of start."""
        return max(self.all[-1].started_at, now()) if self.all else now()

    def get(self, run_id: str) -> Run:
        """
        Returns a run.

        Raises:
            ApiError: it does not exist (404).
        """
        run = self.by_id.get(run_id)
        if run is None:
            raise record_not_found("Actor run")
        return run

    def note_traffic(self, run_id: str, received: int, sent: int) -> None:
        """Adds what the process of a run has received and sent."""
        run = self._active.get(run_id)
        if run is not None:
            run.usage = run.usage or RunUsage()
            run.usage.received_bytes += received
            run.usage.sent_bytes += sent

    def add(self, run: Run) -> None:
        """Registers a run as the newest."""
        self.by_id[run.id] = run
        for storage_id in run.storages:
            self.by_storage[storage_id] = run
        self.all.append(run)
        self.of_actor[run.actor_id].append(run)
        if run.task_id is not None:
            self.of_task[run.task_id].append(run)
        if not run.is_terminal:
            self.take(run)

    def move(self, run: Run, actor_id: str) -> None:
        """Makes a run one of another Actor, in whose list it keeps the place of its start."""
        self.of_actor[run.actor_id].remove(run)
        run.actor_id = actor_id
        insort(self.of_actor[actor_id], run, key=_start)

    def take(self, run: Run) -> None:
        """Counts a run as active."""
        self._active[run.id] = run
        self.memory_mbytes += run.options.memory_mbytes

    def release(self, run: Run) -> None:
        """Stops counting a run as active."""
        del self._active[run.id]
        self.memory_mbytes -= run.options.memory_mbytes

    def remove(self, run: Run) -> None:
        """Removes a run that has ended."""
        del self.by_id[run.id]
        for storage_id in run.storages:
            self.by_storage.pop(storage_id, None)
        self.all.remove(run)
        self.of_actor[run.actor_id].remove(run)
        if run.task_id is not None:
            self.of_task[run.task_id].remove(run)

    def next_attempt(self, key: str) -> int:
        """Returns how many attempts an input has had, this one included."""
        self.attempts[key] = self.attempts.get(key, 0) + 1
        return self.attempts[key]


def started_between(runs: list[Run], after: float | None, before: float | None) -> list[Run]:
    """Returns the runs that started between two moments, both included; `runs` is in that order."""
    # A binary search, because a list can have many thousands of runs.
    low = 0 if after is None else bisect_left(runs, after, key=_start)
    high = len(runs) if before is None else bisect_right(runs, before, key=_start)
    return runs if low == 0 and high == len(runs) else runs[low:high]


def _start(run: Run) -> float:
    return run.started_at


def attempt_key(run: Run) -> str:
    """Returns a key that runs with the same Actor, task and input share."""
    return f"{run.actor_id}\0{run.task_id}\0{run.input_text}"
