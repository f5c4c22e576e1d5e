"""What a batch has left to do, as its ledger shows it at one instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.apify import ApifyClient
from orchestrator.app.account.account_limits import Room, limits_of
from orchestrator.app.batch.assembly import places_of, progress_of, queue_of, utc_now
from orchestrator.app.batch.needed_results import needs_of
from orchestrator.app.batch.spending import usage_now
from orchestrator.app.history.estimates import expected_durations, usual_items
from orchestrator.app.setup.settings import Settings
from orchestrator.ledger import LedgerReader
from orchestrator.model.attempts import Attempt
from orchestrator.model.states import JobStatus
from orchestrator.report.progress import Progress
from orchestrator.scheduler.decide.dependencies import Needs
from orchestrator.scheduler.decide.limits import Usage
from orchestrator.scheduler.decide.queue import WaitingQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """
    What is left to do, and what limits it.

    Attributes:
        waiting: how many jobs wait for an attempt, those that wait for other jobs among them.
        queue: the jobs that may start, as far as the limits allow it; empty when aborting.
        needs: the jobs that wait for others.
        usage: of the limits: what earlier processes have spent and started.
        usual_items: how many items jobs make, by their places in the spec.
    """

    progress: Progress
    waiting: int
    queue: WaitingQueue
    needs: Needs
    usage: Usage
    usual_items: Mapping[int, float]


def read_backlog(
    reader: LedgerReader,
    open_attempts: Sequence[Attempt],
    *,
    folder: Path,
    client: ApifyClient,
    room: Room,
    settings: Settings,
    aborting: bool,
) -> Backlog:
    """
    Reads a batch that this process has taken over; call it in the event loop, whose clock it uses.

    Args:
        open_attempts: those that an earlier process left in flight.
        aborting: whether no job is to be started.
    """
    with reader.at_one_instant():
        totals, plan = reader.totals(), reader.batch().plan
        limits = limits_of(plan, room, {} if aborting else reader.demands(), settings)
        expected = {} if aborting else expected_durations(folder, reader)
        places = places_of(
            () if aborting else reader.waiting(),
            room,
            expected,
            platform_now=client.platform_now(),
        )
        needs, free = needs_of(reader, places)
        return Backlog(
            progress=progress_of(totals, open_attempts),
            waiting=totals.jobs.get(JobStatus.WAITING, 0),
            queue=queue_of(free),
            needs=needs,
            usage=usage_now(reader, limits, room, settings.costs_settle_secs, client, utc_now),
            usual_items=usual_items(folder, reader),
        )
