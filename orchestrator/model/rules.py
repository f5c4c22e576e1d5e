"""Rules for what follows a run that did not succeed, and what they change in the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.model.ids import RunId


class Action(StrEnum):
    """
    What a rule does.

    RESTART: another attempt with a run of its own. RESURRECT: another attempt with the same run.
    GIVE_UP: the job is settled. STOP_BATCH: the job is settled, and nothing more is started.
    """

    RESTART = "restart"
    RESURRECT = "resurrect"
    GIVE_UP = "give_up"
    STOP_BATCH = "stop_batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    One rule of a job; the first that matches decides. An empty condition always matches.

    Attributes:
        status: of the job, if no other attempt follows.
        exit_code: of the Actor's process.
        message: shell patterns, found anywhere in the run's status message.
        log: shell patterns, found anywhere in the end of the run's log.
        max: attempts of the job in total; None means `retries` of the job + 1.
        backoff_secs: before the second attempt, then doubled; None means the default.
        memory_factor: memory of the next run divided by that of this one.
        max_memory_mbytes: the most that the next run gets.
        timeout_factor: timeout of the next run divided by that of this one.
        build: of the next run.
        input: fields of the input of the next run that replace those of the job, as a JSON object.
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
    input: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """
    What an attempt does differently from its job; None for no difference.

    Attributes:
        input: fields of the input that replace those of the job, as a JSON object.
        resurrects: the run to resurrect; None when the attempt starts a run of its own.
        resurrect_count: how often that run was resurrected before.
    """

    memory_mbytes: int | None = None
    timeout_secs: int | None = None
    build: str | None = None
    input: str | None = None
    resurrects: RunId | None = None
    resurrect_count: int = 0


NO_REMEDY = Remedy()
