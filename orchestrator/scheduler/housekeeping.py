"""What a batch does besides its attempts: jobs without an attempt, final costs, orphan runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import anyio

from orchestrator.errors import PlatformError
from orchestrator.loop_clock import loop_time
from orchestrator.model.ids import RunId
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.adoptable_runs import AdoptableRun
from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.decide.dependencies import Skipped
from orchestrator.scheduler.decide.retries import outcome_of_refusal
from orchestrator.scheduler.parts import Parts
from orchestrator.scheduler.run_list import asked_at


async def skip(parts: Parts, skipped: Iterable[Skipped]) -> None:
    """Settles jobs without an attempt, because jobs that they need did not succeed."""
    for job in skipped:
        reason = await parts.ledger.skip(job.seq, job.reason, job.needed)
        parts.observer.job_skipped(job.seq, reason)


async def refuse(parts: Parts, seqs: Sequence[int], reason: str) -> None:
    """Settles jobs as failed without an attempt, because their Actor or task is held."""
    keys = await parts.ledger.refuse(seqs, outcome_of_refusal(reason).error or reason)
    parts.observer.jobs_refused(reason, keys)


async def take_final_costs(parts: Parts, budget: Budget) -> None:
    """
    Replaces the reservations of ended runs by their costs, as far as these are final.

    Raises:
        PlatformError: the platform cannot be asked.
    """
    due = budget.due(loop_time())
    # The ledger has the costs by now: money is released only after it is durable.
    for run_id, cost_usd in (await final_costs(parts, due)).items():
        budget.set_final(run_id, cost_usd)


async def final_costs(parts: Parts, run_ids: Iterable[RunId]) -> dict[RunId, Decimal | None]:
    """
    Reads the final costs of ended runs, and records them; None where the platform hides one.

    A refused request is repeated: one odd answer would keep a reservation for ever.

    Raises:
        PlatformError: the platform cannot be asked.
    """
    costs: dict[RunId, Decimal | None] = {}
    began_at = loop_time()
    for run_id in run_ids:
        try:
            run = await parts.client.runs.get(run_id, insist=True)
            costs[run_id] = run.facts().cost_usd
        except PlatformError as error:
            if not error.costs_its_job:
                raise
            costs[run_id] = None
    known = {run: cost for run, cost in costs.items() if cost is not None}
    await parts.ledger.record_costs(known, asked_at(parts.client, parts.utc_now, began_at))
    return costs


async def end_orphans(parts: Parts) -> None:
    """
    Searches once more for orphan runs, and aborts those that no attempt has adopted.

    Raises:
        PlatformError: the lists cannot be read.
    """
    await parts.finder.search_for_orphans()
    await parts.finder.orphans.end_adoptable()


async def watch_adoptable(parts: Parts, found: AdoptableRun, released: Callable[[], None]) -> None:
    """
    Releases the slot of an adoptable run at its end, unless an attempt adopts it before.

    Raises:
        PlatformError: the platform cannot be asked.
    """
    while found.holds_slot:
        await anyio.sleep(parts.timings.adoptable_interval_secs)
        if await has_ended(parts, found.run):
            parts.finder.orphans.adoptable.note_end(found)
            released()


async def has_ended(parts: Parts, run: Run) -> bool:
    """
    Whether a run that no attempt follows has ended, or cannot be read any more.

    Raises:
        PlatformError: the platform cannot be asked.
    """
    try:
        return (await parts.client.runs.get(run.id, insist=True)).facts().is_terminal
    except PlatformError as error:
        if not error.costs_its_job:
            raise
        # A run that cannot be read must not hold its slot for ever.
        return True
