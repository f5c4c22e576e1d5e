"""The unfinished work of a batch, as its ledger shows it at one instant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import anyio

from orchestrator.app.account.account_limits import limits_of, wanted_runs
from orchestrator.app.batch.assembly import Backlog, SchedulerOptions
from orchestrator.app.batch.needed_results import needs_of
from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.batch.progress_tracker import ProgressTracker
from orchestrator.app.batch.queued_jobs import queue_of, queued_jobs
from orchestrator.app.batch.spending import usage_now
from orchestrator.app.batch.waiting_work import WaitingWork
from orchestrator.app.history.estimates import expected_durations, usual_items
from orchestrator.app.setup.process_limits import warn_of_bound
from orchestrator.model.attempts import Attempt
from orchestrator.model.states import FAILED_JOB_STATUSES, JobStatus
from orchestrator.scheduler.decide.lane import QueuedJob


def read_backlog(
    batch: OpenBatch,
    options: SchedulerOptions,
    open_attempts: Sequence[Attempt],
    tracker: ProgressTracker,
) -> Backlog:
    """
    Reads a batch that this process owns; call it in the event loop, whose clock it uses.

    Args:
        open_attempts: of an earlier process.
        tracker: gets the figures that the batch begins with.

    Raises:
        UsageError: some job can never be started within the limits.
    """
    reader, room, settings = batch.reader, options.room, options.settings
    with reader.at_one_instant():
        totals, plan = reader.totals(), reader.batch().plan
        waiting = totals.jobs.get(JobStatus.WAITING, 0)
        limits = limits_of(plan, room, {} if options.is_aborting else reader.demands(), settings)
        unsettled = waiting + len(open_attempts)
        warn_of_bound(limits.max_runs, min(wanted_runs(plan, room, settings), unsettled))
        work = WaitingWork(
            expected={} if options.is_aborting else expected_durations(batch.folder, reader)
        )
        needs, free = needs_of(reader, _waiting_jobs(batch, options, work))
        usage = usage_now(
            reader,
            limits,
            room,
            settle_secs=settings.costs_settle_secs,
            client=batch.client,
            utc_now=options.utc_now,
        )
        backlog = Backlog(
            queue=queue_of(free),
            usage=usage,
            dependencies=needs,
            usual_items=usual_items(batch.folder, reader),
            waiting=waiting,
            unsettled=unsettled,
        )
        has_failures = FAILED_JOB_STATUSES & totals.jobs.keys()
        failures = list(reader.failed_jobs()) if has_failures else []
    tracker.begin(totals, work, plan.max_cost_usd, failures)
    platform_now = batch.client.platform_now() or options.utc_now()
    tracker.resume(open_attempts, anyio.current_time(), platform_now)
    return backlog


def _waiting_jobs(
    batch: OpenBatch, options: SchedulerOptions, work: WaitingWork
) -> Iterator[QueuedJob]:
    """The jobs that this process may start; counts them in `work`."""
    if options.is_aborting:
        return
    platform_now = batch.client.platform_now()
    jobs, expected = batch.reader.waiting(), work.expected
    shard = options.shard
    for job in queued_jobs(jobs, options.room, expected, platform_now=platform_now, shard=shard):
        if job.claim.target is not None:
            work.add(job.seq, job.claim.target)
        yield job
