"""What follows an attempt that is over: reads what the decision needs, then decides."""

from __future__ import annotations

from functools import partial

import anyio

from orchestrator.errors import PlatformError
from orchestrator.model.attempts import Attempt, Outcome
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.retries import SETTLED, LogNeeded, Verdict, decide
from orchestrator.scheduler.parts import Parts

LOG_END_BYTES = 65_536
"""How much of the end of a log is searched by rules."""

LOG_SECS = 300.0
"""How long a log may take to be read for rules."""


async def verdict_of(parts: Parts, attempt: Attempt, outcome: Outcome, run: Run | None) -> Verdict:
    """
    Whether another attempt follows, and how; reads the log where a rule asks for it.

    Raises:
        PlatformError: of concern to the whole batch.
    """
    if parts.follower.is_aborting or outcome.error is None:
        return SETTLED
    jitter = parts.chance()
    if run is not None and run.resurrect_count is None and attempt.job.rules:
        # The ledger does not hold it, so a later process has to read it.
        run = run._replace(resurrect_count=await _resurrect_count(parts, run))
    verdict = partial(
        decide,
        attempt,
        outcome,
        run,
        jitter=jitter,
        most_memory_mbytes=parts.most_memory_mbytes,
        first_delay_secs=parts.timings.first_delay_secs,
    )
    try:
        return verdict()
    except LogNeeded:
        assert run is not None  # noqa: S101 - rules are for runs
        return verdict(log_end=await _log_end(parts, run))


async def _resurrect_count(parts: Parts, run: Run) -> int | None:
    try:
        found = await parts.client.runs.get(run.id, insist=True)
    except PlatformError as error:
        if not error.costs_its_job:
            raise
        return None
    return found.facts().resurrect_count


async def _log_end(parts: Parts, run: Run) -> str:
    """The end of a run's log; empty when there is none."""
    end = b""
    try:
        # A log without an end must not hold the job up.
        with anyio.move_on_after(LOG_SECS):
            async with parts.client.runs.stream_log(run.id) as download:
                async for chunk in download.chunks():
                    end = (end + chunk)[-LOG_END_BYTES:]
    except PlatformError as error:
        if error.concerns_every_job:
            raise
        parts.observer.log_not_read(str(error))
    return end.decode("utf-8", "replace")
