"""
Starts that have no run and wait for a slot before they are sent again.

Attempts of an earlier process may hold more than the limits of this one allow. A start that has no
run must not add another one: it releases its claim and waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import anyio

from orchestrator.scheduler.decide.budget import NOTHING
from orchestrator.scheduler.decide.limits import Blocked, Claim
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.start_request import TargetHeld


@dataclass(slots=True, eq=False)
class Resend:
    """
    One start that waits.

    Attributes:
        claim: without its money, which stays reserved, so that no other start uses it.
        held: why it may never be sent, because its Actor or task is held.
    """

    claim: Claim
    may_go: anyio.Event = field(default_factory=anyio.Event)
    blocked: Blocked | None = None
    held: str | None = None


class Resends:
    """The starts of a batch that wait to be sent again, in their order of arrival."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._waiting: list[Resend] = []

    def add(self, claim: Claim) -> Resend:
        """Releases a claim; `admit` takes it again."""
        resend = Resend(replace(claim, reserve_usd=NOTHING))
        self._usage.release(resend.claim)
        self._waiting.append(resend)
        return resend

    async def wait(self, resend: Resend) -> None:
        """
        Waits until the claim is taken again.

        Raises:
            TargetHeld: the start may not be sent again.

        Cancellation: the claim is held.
        """
        try:
            await resend.may_go.wait()
        except BaseException:
            if resend in self._waiting:
                # The caller releases its claim on every way out, so it must hold the claim again.
                self._waiting.remove(resend)
                self._usage.hold(resend.claim)
            raise
        if resend.held is not None:
            self._usage.hold(resend.claim)
            raise TargetHeld(resend.held)

    def admit(self, now: float) -> None:
        """Wakes those whose claims can be taken now, or whose targets are held."""
        held = self._usage.gate.breaker.held
        for resend in self._waiting.copy():
            target = resend.claim.target
            resend.held = held.get(target) if target else None
            resend.blocked = self._usage.blocked(resend.claim, now)
            if resend.blocked is None:
                self._usage.take(resend.claim, now)
            if resend.blocked is None or resend.held is not None:
                self._waiting.remove(resend)
                resend.may_go.set()

    def next_wake(self) -> float | None:
        """When one of them may be sent without the end of a run; None when a run must end first."""
        times = [one.blocked.until for one in self._waiting if one.blocked is not None]
        return min((time for time in times if time is not None), default=None)
