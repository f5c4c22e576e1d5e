"""Claims jobs of a batch whose ledger is at a server, as one of several controllers."""

from __future__ import annotations

import os
import random
import sys
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio

from orchestrator.group_worker import GroupWorker
from orchestrator.ledger import Ledger, location
from orchestrator.ledger.claims import Share
from orchestrator.ledger.stores import connect
from orchestrator.ledger.transactions import commit_group
from orchestrator.model.attempts import Attempt

AT_ONCE = 3
"""How many claims are handed in together; a controller makes a few whenever runs have ended."""
PAUSE_SECS = 0.1
"""The mean time between two groups: eight controllers claim some 240 jobs a second."""

LEASE_SECS = 3600.0
SHARE = Share(
    target="actor me/actor",
    memory_mbytes=256,
    pools=(),
    reserve_usd=Decimal("0.01"),
    max_runs=10**6,
    max_memory_mbytes=10**9,
    max_cost_usd=Decimal(10**6),
)


def main() -> None:
    """Claims so many random jobs of so many; prints how many it got."""
    # The folder of a batch holds no password.
    location.configure(os.environ["ORCHESTRATOR_LEDGER"])
    path, jobs, claims = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    print(anyio.run(_claim, path, jobs, claims))


async def _claim(path: Path, jobs: int, claims: int) -> int:
    db, taken = connect(path), 0
    db.lease(LEASE_SECS)
    async with GroupWorker("ledger", partial(commit_group, db), db.gather_secs) as worker:
        ledger = Ledger(db, worker)
        await ledger.join()
        while taken < claims:
            now = datetime.now(UTC)
            seqs = random.sample(range(jobs), AT_ONCE)
            answers = [
                ledger.intend(seq, 1, now, SHARE, platform_at=now, caps_itself=False)
                for seq in seqs
            ]
            await anyio.sleep(random.uniform(0, 2 * PAUSE_SECS))  # noqa: S311 - not for secrets
            taken += sum([isinstance(await answer, Attempt) for answer in answers])
    db.close()
    return taken


if __name__ == "__main__":
    main()
