"""Rules for what follows a run that did not succeed, and what they change for the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.model.ids import RunId


class Action(StrEnum):
    """
    What a rule does.

    RESTART: one more attempt with a run of its own. RESURRECT: one more attempt on the same run.
    GIVE_UP: the job is settled. STOP_BATCH: that too, and nothing more is started.
    """

    RESTART = "restart"
    RESURRECT = "resurrect"
    GIVE_UP = "give_up"
    STOP_BATCH = "stop_batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    One rule of a job; the first that matches decides. An empty condition matches everything.

    Attributes:
        status: the job's status, should no further attempt follow.
        exit_code: of the Actor's process.
        message: shell patterns, found anywhere in the run's status message.
        log: shell patterns, found anywhere in the end of the run's log.
        max: attempts of the job in all, the first included; None means the job's `retries` + 1.
        backoff_secs: before the second attempt, doubling from there; None means the usual one.
        memory_factor: the next run's memory over this one's.
        max_memory_mbytes: where that ends.
        timeout_factor: the next run's timeout over this one's.
        build: of the next run.
    """

    do: Action = Action.RESTART
    status: tuple[str, ...] = ()
    exit_code: tuple[int, ...] = ()
    message: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    max: int | None = None
    backoff_secs: float | None = None
    memory_factor: float | None = None
    max_memory_mbytes: int | None = None
    timeout_factor: float | None = None
    build: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """
    What an attempt does otherwise than its job says; None where it does not.

    Attributes:
        resurrects: the run that goes on; None when the attempt starts one of its own.
        resurrect_count: how often that run had been resurrected before.
    """

    memory_mbytes: int | None = None
    timeout_secs: int | None = None
    build: str | None = None
    resurrects: RunId | None = None
    resurrect_count: int = 0


NO_REMEDY = Remedy()
