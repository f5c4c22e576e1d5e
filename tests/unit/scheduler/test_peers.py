from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.ledger.claims import Refused
from orchestrator.loop_clock import loop_time
from orchestrator.model.batches import PoolLimits
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.stops import FailureCount
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.peers import PeerParts, Peers
from orchestrator.scheduler.timings import TIMINGS
from tests.support.builders import NOON

CLAIM = Claim(memory_mbytes=256, pools=("shop",))


def make_peers(answer: Refused) -> Peers:
    """The other processes on a batch whose ledger gives this answer to each claim."""

    async def intend(*_: Any, **_named: Any) -> Refused:
        return answer

    ledger: Any = SimpleNamespace(intend=intend)
    client: Any = SimpleNamespace(platform_now=lambda: None)
    unused: Any = None
    return Peers(
        PeerParts(
            ledger=ledger,
            client=client,
            utc_now=lambda: NOON,
            queued_of=unused,
            queued_attempt=unused,
            chance=lambda: 0.5,
            beat_secs=1,
            timings=TIMINGS,
            stuck_secs=9,
            source_secs=9,
        )
    )


@pytest.mark.parametrize("limit", ["runs", None], ids=["full", "another's job"])
async def test_claim_that_the_ledger_refuses_is_no_start_of_its_pool(limit: str | None) -> None:
    """A process that waits for others asks often: that takes nothing of `starts_per_minute`."""
    usage = Usage(Limits(max_runs=9, pools={"shop": PoolLimits(starts_per_minute=1)}))
    peers = make_peers(Refused(limit=limit, reason="9 of 9 runs"))
    put_back: list[QueuedJob] = []
    scheduler: Any = SimpleNamespace(
        usage=usage,
        failures=FailureCount(None, 9),
        use=lambda *_: None,
        feedback=SimpleNamespace(no_run=lambda _: None),
        put_back=put_back.append,
    )
    peers.attach(scheduler)
    queued = QueuedJob(rank=0, shortness=0.0, seq=0, number=1, claim=CLAIM)
    usage.take(CLAIM, loop_time())
    assert await peers.intend(queued) is None
    usage.release(CLAIM)
    usage.others.refused.clear()
    assert usage.blocked(CLAIM, loop_time()) is None
