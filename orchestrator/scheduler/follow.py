"""Follows a run to its end: long polls, aborts, and the usual duration of such runs."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.errors import OrchestratorError, PlatformError, StoppedEarly
from orchestrator.ledger import Ledger
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Attempt
from orchestrator.model.jobs import Job
from orchestrator.model.runs import Run
from orchestrator.model.states import RunStatus
from orchestrator.scheduler.decide.stragglers import UsualDurations, straggles_from
from orchestrator.scheduler.observer import Observer

SHORTEST_POLL_SECS = 1.0
"""The shortest time between two polls, for a platform that answers long polls at once."""

MANY_RUNS = 500
"""With so many runs at once, pauses between polls save one poll of ten."""

PAUSE_SHARE = 1 / 7
"""How long that pause is, as a share of the poll's time; a run may be seen to end so much later."""

ABORT_GRACE_SECS = 35.0
"""How long a graceful abort may take: the platform allows 30 s, and some margin."""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """
    A run that has ended and is not collected yet.

    Attributes:
        run_json: the last answer about it; None when an earlier process received that.
        aborted_because: why this process aborted it; None when it did not.
    """

    attempt: Attempt
    run: Run
    run_json: bytes | None = None
    aborted_because: str | None = None


@dataclass(slots=True, eq=False)
class _Followed:
    """
    A run that is followed.

    Attributes:
        began_at: when it was created or, once it was seen to wait, first seen to run; on the
            monotonic clock.
        status: of the run, in the last answer.
        waited_secs: how long after its creation it was last seen to wait for its place.
        scope: of what it waits for: a poll, an abort or a pause. None before the first one.
        abort_because: why the run must be aborted; None when it must not.
        stays_live: whether the platform has not aborted it, although it was asked to.
    """

    attempt: Attempt
    run: Run
    began_at: float
    status: str
    waited_secs: float = 0.0
    scope: anyio.CancelScope | None = None
    abort_because: str | None = None
    is_aborted: bool = False
    stays_live: bool = False
    straggles: bool = False


class Follower:
    """
    Follows the runs of a batch.

    Args:
        tail: downloads the items of a run while it is in progress, until cancelled.
        utc_now: the wall clock.
        aborting: why all runs are aborted; None when they are not.
        many_runs: with so many at once, each poll is followed by a pause.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        client: ApifyClient,
        tail: Callable[[Job, Run], Awaitable[None]],
        observer: Observer,
        utc_now: Callable[[], datetime],
        aborting: str | None = None,
        many_runs: int = MANY_RUNS,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._tail = tail
        self._observer = observer
        self._utc_now = utc_now
        self._aborting = aborting
        self._many_runs = many_runs
        self._has_given_up = False
        self._followed: set[_Followed] = set()
        self._durations = UsualDurations()

    @property
    def is_aborting(self) -> bool:
        """Whether all runs are aborted."""
        return self._aborting is not None

    async def follow(self, attempt: Attempt, run: Run) -> EndedRun | None:
        """
        Waits until a run has ended, and records that.

        Returns:
            the ended run; None when `give_up_waits` was called, or when the platform does not abort
            the run while all runs are aborted.

        Raises:
            PlatformError: the run cannot be read.
            StoppedEarly: of concern to the whole batch.
        """
        wait = self._wait_and_tail if attempt.job.collect.live else self._wait
        return await wait(attempt, run)

    def abort_runs(self, because: str) -> None:
        """Aborts all runs that are followed now or later."""
        self._aborting = self._aborting or because
        for followed in self._followed:
            # One that is aborted already waits for its end, or for the answer to that request.
            if followed.scope is not None and followed.is_aborted == followed.stays_live:
                followed.scope.cancel()

    def give_up_waits(self) -> None:
        """Ends all waits at once; the runs continue, and the ledger holds them."""
        self._has_given_up = True
        for followed in self._followed:
            if followed.scope is not None:
                followed.scope.cancel()

    async def _wait_and_tail(self, attempt: Attempt, run: Run) -> EndedRun | None:
        """Waits for the end of a run, and downloads its items meanwhile."""
        stop, failures = anyio.CancelScope(), list[OrchestratorError]()
        ended: EndedRun | None = None

        async def tail() -> None:
            with stop:
                try:
                    await self._tail(attempt.job, run)
                except StoppedEarly as error:
                    failures.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tail, name=f"live {run.id}")
            try:
                ended = await self._wait(attempt, run)
            except OrchestratorError as error:
                failures.append(error)
            stop.cancel()
        # Raised here, because the task group would wrap it in an ExceptionGroup.
        if failures:
            raise failures[0]
        return ended

    async def _wait(self, attempt: Attempt, run: Run) -> EndedRun | None:
        """Polls until the run has ended; aborts it when it must be aborted."""
        followed = _Followed(attempt, run, self._created_at(attempt, run), run.status)
        self._followed.add(followed)
        try:
            while not self._has_given_up:
                asked = loop_time()
                ended = await self._poll(followed)
                if ended is not None or self._is_left(followed):
                    return ended
                if followed.abort_because is None and not self._has_given_up:
                    with anyio.CancelScope() as followed.scope:
                        await anyio.sleep_until(self._next_poll_at(followed, asked))
            return None
        finally:
            self._followed.discard(followed)

    def _next_poll_at(self, followed: _Followed, asked: float) -> float:
        """When to poll a run that was polled at `asked` and has not ended."""
        at = now = loop_time()
        if len(self._followed) >= self._many_runs:
            usual_secs = self._durations.usual(followed.attempt.job.target)
            check_at = max(now, _next_check(followed, usual_secs))
            at = min(now + PAUSE_SHARE * (now - asked), check_at)
        return max(at, asked + SHORTEST_POLL_SECS)

    def _created_at(self, attempt: Attempt, run: Run) -> float:
        """When a run was created or resurrected, on the monotonic clock."""
        now = loop_time()
        if attempt.run is None:  # this process has just started it
            return now
        # A resurrected run keeps its first start; this life of it began with the intent.
        since = max(run.started_at, attempt.platform_at or run.started_at)
        return now - max(0.0, (self._platform_now() - since).total_seconds())

    async def _poll(self, followed: _Followed) -> EndedRun | None:
        """One long poll, or an abort and its end."""
        attempt, run = followed.attempt, followed.run
        usual_secs = self._durations.usual(attempt.job.target)
        if self._judge_duration(followed, usual_secs):
            await self._ledger.mark_seen(attempt, followed.status, straggles=True)
        because = followed.abort_because or self._aborting
        if because is not None and not followed.is_aborted:
            # Noted before the request, because one request for an abort is enough.
            followed.abort_because, followed.is_aborted = because, True
            with anyio.CancelScope() as followed.scope:
                followed.stays_live = not await self._abort(run)
        # Nothing is awaited from here to the poll, so `give_up_waits` finds its scope.
        if self._has_given_up or self._is_left(followed):
            return None
        answer = None
        wait_secs = _poll_secs(followed, usual_secs)
        with anyio.CancelScope(deadline=_next_check(followed, usual_secs)) as followed.scope:
            # The run is paid for: one odd refusal must not end its job.
            answer = await self._client.runs.get(run.id, wait_secs=wait_secs, insist=True)
        if answer is None:
            return None
        facts = answer.facts()
        # The answer to a start, or the last one, may lack them.
        followed.run = run.with_storages_of(facts)
        if facts.is_terminal:
            facts = facts.with_storages_of(followed.run)
            run_json = answer.to_json()
            await self._finish(followed, facts, run_json)
            return EndedRun(attempt, facts, run_json, followed.abort_because)
        now = loop_time()
        if facts.status == RunStatus.READY:
            followed.waited_secs = now - followed.began_at
        elif followed.status == RunStatus.READY:
            followed.began_at = now
        if facts.status != followed.status:
            followed.status = facts.status
            await self._ledger.mark_seen(attempt, facts.status, straggles=followed.straggles)
            self._observer.run_seen(facts)
        return None

    def _is_left(self, followed: _Followed) -> bool:
        """Whether a run that stays live is not waited for, because all runs are aborted."""
        return followed.stays_live and self.is_aborting

    def _platform_now(self) -> datetime:
        return self._client.platform_now() or self._utc_now()

    async def _finish(self, followed: _Followed, run: Run, run_json: bytes) -> None:
        """Records the end of a run."""
        attempt = followed.attempt
        if run.finished_at is not None:
            secs = (run.finished_at - run.started_at).total_seconds() - followed.waited_secs
            usual_secs = self._durations.usual(attempt.job.target)
            # How long a run has run is known exactly only if it neither waited nor was resurrected.
            is_exact = followed.waited_secs == 0 and attempt.remedy.resurrects is None
            if usual_secs is not None and secs > straggles_from(usual_secs) and is_exact:
                followed.straggles = True
            if run.status == RunStatus.SUCCEEDED:
                self._durations.add(attempt.job.target, secs)
                self._check_sooner(attempt.job)
        # Durable before the download: after a crash the run is collected, and no other is started.
        await self._ledger.mark_finished(
            attempt,
            run,
            straggles=followed.straggles,
            ended_at=self._client.platform_now(),
            # A file gets it soon. If this process dies before that, the platform is asked again.
            run_object=None if attempt.job.collect.run else run_json,
        )
        self._observer.run_finished(attempt, run)

    def _judge_duration(self, followed: _Followed, usual_secs: float | None) -> bool:
        """
        Marks a run that takes far longer than usual, and one that must be aborted for that.

        Returns:
            whether this call marked it as a straggler.
        """
        if usual_secs is None or followed.status == RunStatus.READY:
            return False
        secs = loop_time() - followed.began_at
        factor = followed.attempt.job.abort_after_factor
        is_too_long = factor is not None and secs >= factor * usual_secs
        is_late = secs > straggles_from(usual_secs) or is_too_long
        is_new = is_late and not followed.straggles
        if is_new:
            followed.straggles = True
            self._observer.run_straggles(followed.attempt, secs, usual_secs)
        if is_too_long and followed.abort_because is None:
            followed.abort_because = (
                f"it took more than {factor:g} times the usual {usual_secs:.2g} s "
                "(abort_after_factor)"
            )
        return is_new

    def _check_sooner(self, job: Job) -> None:
        """Updates the deadlines of open polls by the usual duration, if runs may be aborted."""
        if job.abort_after_factor is None:
            return
        usual_secs = self._durations.usual(job.target)
        for followed in self._followed:
            if followed.attempt.job.target != job.target or followed.is_aborted:
                continue
            if followed.scope is not None:
                followed.scope.deadline = _next_check(followed, usual_secs)

    async def _abort(self, run: Run) -> bool:
        """
        Aborts a run gracefully, and at once when that takes longer than the platform allows.

        Returns:
            False when the platform refuses it, or does not do it.
        """
        try:
            # The platform ends a graceful abort after 30 s; a run that outlives it costs money.
            for gracefully in (True, False):
                await self._client.runs.abort(run.id, gracefully=gracefully)
                if await self._has_ended_in_time(run):
                    return True
        except PlatformError as error:
            if not error.costs_its_job:
                raise
            self._observer.abort_refused(str(error))
            return False
        self._observer.abort_refused(f"still live {ABORT_GRACE_SECS:g} s after the second request")
        return False

    async def _has_ended_in_time(self, run: Run) -> bool:
        """Waits for the end of a run that is aborted, as long as an abort may take."""
        until = loop_time() + ABORT_GRACE_SECS
        while (asked := loop_time()) < until:
            wait_secs = math.ceil(until - asked)
            answer = await self._client.runs.get(run.id, wait_secs=wait_secs, insist=True)
            if answer.facts().is_terminal:
                return True
            await anyio.sleep_until(asked + SHORTEST_POLL_SECS)
        return False


def _poll_secs(followed: _Followed, usual_secs: float | None) -> int:
    """How long a poll may last: shorter while the age of the run has yet to begin."""
    most_secs = followed.attempt.job.wait_for_finish_secs
    if usual_secs is None or followed.status != RunStatus.READY:
        return most_secs
    return min(most_secs, math.ceil(straggles_from(usual_secs)))


def _next_check(followed: _Followed, usual_secs: float | None) -> float:
    """When a poll ends to check the duration of the run; infinite when it need not."""
    if usual_secs is None or followed.status == RunStatus.READY:
        return math.inf
    factor = followed.attempt.job.abort_after_factor
    # A little later than the limit, because `_judge_duration` wants the run to exceed it.
    straggles_at = math.inf if followed.straggles else straggles_from(usual_secs) + 0.01
    aborts_at = math.inf if factor is None or followed.is_aborted else factor * usual_secs
    return followed.began_at + min(straggles_at, aborts_at)
