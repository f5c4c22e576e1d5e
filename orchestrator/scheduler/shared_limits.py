"""
The limits that the processes of one batch share, and what they find out together.

That is which Actors work, and how much room the account has. The decisions are those of a process
that works alone, in `decide`. Here, each event is applied to what the ledger holds, one process
after the other, so that five failed runs of five processes count as five. The ledger itself lets no
start pass that this forbids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.errors import PlatformError
from orchestrator.ledger.claims import (
    HALT,
    MEMORY,
    MONEY,
    ROOM,
    RUNS,
    UNKNOWN,
    Finding,
    Refused,
    Share,
)
from orchestrator.ledger.shard_facts import News, Use
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Place
from orchestrator.model.jobs import Target
from orchestrator.scheduler.decide import limits as known
from orchestrator.scheduler.decide.capacity import CapacityEstimate, Resource
from orchestrator.scheduler.decide.limits import Blocked, Claim
from orchestrator.scheduler.decide.start_gate import Breaker
from orchestrator.scheduler.decide.stops import FailureCount
from orchestrator.scheduler.decide.usage import Usage

Change = Callable[[Mapping[str, Any] | None, Use], dict[str, Any]]
ShareFinding = Callable[[str, Change], None]
"""Hands in how an event changes what the ledger holds of a subject."""

KNOWN_LIMITS = {RUNS: known.RUNS, MEMORY: known.MEMORY, MONEY: known.MONEY}
SUBJECTS = {Resource.RUNS: RUNS, Resource.MEMORY: MEMORY}
RESOURCES = {subject: resource for resource, subject in SUBJECTS.items()}


class SharedBreaker(Breaker):
    """
    Which Actors and tasks refuse or fail all of their jobs, by what all processes have seen.

    A refused start costs nothing, so each process counts its own until the target is held.

    Args:
        alone: the breaker that this one replaces.
        share: see `ShareFinding`.
    """

    def __init__(self, alone: Breaker, share: ShareFinding) -> None:
        super().__init__(alone.probe_secs, alone.held)
        self._share = share
        self._targets: dict[str, Target] = {}

    def refused(self, target: Target, error: PlatformError) -> None:
        """Counts a start that was refused for a reason that concerns its target."""
        was_held = target in self.held
        super().refused(target, error)
        if target in self.held and not was_held:
            reason = self.held[target]
            self._tell(target, lambda one, _now: one.held.setdefault(target, reason))

    def succeeded(self, target: Target) -> None:
        """Notes that a run succeeded: the target is not paused any more."""
        record = self.record(target)
        is_known = record is not None and record.works and not record.reason
        super().succeeded(target)
        if not is_known:
            self._tell(target, lambda one, _now: one.succeeded(target))

    def failed(self, target: Target, place: Place, kind: str, error: str, now: float) -> None:
        """Counts a run that failed."""
        record = self.record(target)
        matters = record is None or bool(record.reason) or not record.works
        super().failed(target, place, kind, error, now)
        if matters:
            self._tell(target, lambda one, then: one.failed(target, place, kind, error, then))

    def not_started(self, target: Target, seq: int) -> None:
        """Notes that a start has no run: if its job was the one that was tried, another one is."""
        record = self.record(target)
        was_tried = record is not None and record.probe == seq
        super().not_started(target, seq)
        if was_tried:
            self._tell(target, lambda one, _now: one.not_started(target, seq))

    def name(self, target: Target | None) -> str | None:
        """The subject of a target in the ledger."""
        if target is None:
            return None
        subject = str(target)
        self._targets[subject] = target
        return subject

    def learn(self, found: Finding) -> None:
        """Takes over what the processes have found out of a target."""
        target = self._targets.get(found.subject)
        if target is not None:
            self.restore(target, found.fields, loop_time() - found.moment)

    def _tell(self, target: Target, event: Callable[[Breaker, float], object]) -> None:
        subject, probe_secs = self.name(target), self.probe_secs
        assert subject is not None  # noqa: S101 - there is a target

        def change(stored: Mapping[str, Any] | None, use: Use) -> dict[str, Any]:
            one = Breaker(probe_secs)
            if stored is not None:
                one.restore(target, stored)
            event(one, use.moment)
            return one.stored(target)

        self._share(subject, change)


class SharedCapacity(CapacityEstimate):
    """
    How much capacity the account has, by the refusals that all processes have seen.

    The ledger compares it with what all of them use, so this process blocks nothing by itself.
    """

    def __init__(self, share: ShareFinding) -> None:
        super().__init__()
        self._share = share
        self._probed: set[Resource] = set()

    def blocked(self, wanted: int, resource: Resource, now: float) -> float | None:
        """None: the ledger decides, which knows what all processes use."""
        del wanted, resource, now
        return None

    def take(self, in_use: int, resource: Resource, now: float) -> None:
        """Notes that a start may be the one that tries for more."""
        del in_use
        stored = self.stored(resource)
        if stored and stored["probe_at"] <= now:
            self._probed.add(resource)

    def refused(self, in_use: int, resource: Resource, now: float, jitter: float) -> None:
        """Shrinks the estimate to what all processes use without the start that was refused."""
        del in_use, now

        def change(one: CapacityEstimate, in_use_by_all: int, then: float) -> None:
            one.refused(in_use_by_all, resource, then, jitter)

        self._tell(resource, change)

    def started(self, in_use: int, resource: Resource, now: float) -> None:
        """Notes a run that was started; after a try for more, another follows."""
        del in_use, now
        if resource in self._probed or self.stored(resource).get("is_probing"):
            self._probed.discard(resource)

            def change(one: CapacityEstimate, in_use_by_all: int, then: float) -> None:
                one.started(in_use_by_all, resource, then)

            self._tell(resource, change)

    def learn(self, found: Finding) -> None:
        """Takes over what the processes have found out of a resource."""
        fields = dict(found.fields)
        if fields:
            fields["probe_at"] += loop_time() - found.moment
            self.restore(RESOURCES[found.subject], fields)

    def full(self, subject: str) -> Blocked:
        """Why a start must wait, as the ledger has said."""
        stored = self.stored(RESOURCES[subject])
        is_memory = RESOURCES[subject] is Resource.MEMORY
        fits = f"{stored['fits']} MB" if is_memory else f"{stored['fits']} runs"
        return Blocked(
            reason=f"the account has no capacity for more than {fits} of this batch, because "
            "others use it too; it is tried again",
            until=stored["probe_at"],
            limits=KNOWN_LIMITS[subject],
        )

    def _tell(
        self, resource: Resource, event: Callable[[CapacityEstimate, int, float], None]
    ) -> None:
        def change(stored: Mapping[str, Any] | None, use: Use) -> dict[str, Any]:
            one = CapacityEstimate()
            one.restore(resource, stored or {})
            in_use = use.memory_mbytes if resource is Resource.MEMORY else use.runs
            event(one, in_use, use.moment)
            return one.stored(resource)

        self._share(SUBJECTS[resource], change)


class SharedLimits:
    """
    The limits that all processes share, for one of them.

    Args:
        usage: of this process; from now on, its breaker and its estimate of room are shared.
        failures: what `stop_after_failures` says.
    """

    def __init__(self, usage: Usage, failures: FailureCount, share: ShareFinding) -> None:
        self._usage = usage
        self._failures = failures
        self._breaker = usage.gate.breaker = SharedBreaker(usage.gate.breaker, share)
        self._capacity = usage.capacity = SharedCapacity(share)

    def share(self, claim: Claim) -> Share:
        """What a job will use of the limits."""
        limits = self._usage.limits
        return Share(
            target=self._breaker.name(claim.target),
            memory_mbytes=claim.memory_mbytes,
            pools=claim.pools,
            reserve_usd=claim.reserve_usd,
            max_runs=limits.max_runs,
            max_memory_mbytes=limits.max_memory_mbytes,
            max_cost_usd=limits.max_cost_usd,
            pool_limits={name: limits.pool(name) for name in claim.pools},
            failures=self._failures.limit,
            sample=self._failures.sample,
        )

    def note(self, refused: Refused, until: float) -> bool:
        """
        Notes what keeps all processes from a start.

        Args:
            until: when a start is tried again that a limit did not allow.

        Returns:
            whether that holds other jobs back, too, so that this one need not wait by itself.
        """
        limit, others = refused.limit, self._usage.others
        if refused.finding is not None:
            self.learn(refused.finding)
            if limit is not None and limit.startswith(ROOM):
                subject = refused.finding.subject
                full = self._capacity.full(subject)
                # Another process may be the one that tries for more, so that the time has come.
                others.refused[subject] = replace(full, until=max(full.until or until, until))
                return True
            # A target: what holds all of its jobs here may lag behind the ledger.
            return False
        if limit is None or limit in (HALT, UNKNOWN) or refused.counts is not None:
            return False
        others.refused[limit] = Blocked(
            reason=f"all processes together have {refused.reason}",
            until=until,
            limits=KNOWN_LIMITS.get(limit, frozenset({limit})),
        )
        return True

    def learn(self, found: Finding) -> None:
        """Takes over what the processes have found out together."""
        if found.subject in RESOURCES:
            self._capacity.learn(found)
        else:
            self._breaker.learn(found)

    def divide(self, news: News) -> None:
        """Leaves the other processes their share of what is scarce, while they lack it."""
        limits, others = self._usage.limits, self._usage.others
        others.most_runs = others.most_mbytes = None
        if news.others_are_hungry and news.processes > 1:
            others.most_runs = -(-limits.max_runs // news.processes)
            if limits.max_memory_mbytes is not None:
                others.most_mbytes = limits.max_memory_mbytes // news.processes
