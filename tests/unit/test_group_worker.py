"""The thread that performs blocking work in groups."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from orchestrator.group_worker import GroupWorker, Work, run_each


async def test_first_of_a_group_waits_for_others() -> None:
    """What is handed in a moment later is performed with it, as one group."""
    sizes: list[int] = []

    def perform(group: Sequence[Work]) -> None:
        sizes.append(len(group))
        run_each(group)

    async with GroupWorker("test", perform, gather_secs=0.5) as worker:
        first = worker.submit(lambda: 1)
        await anyio.lowlevel.checkpoint()
        second = worker.submit(lambda: 2)
        assert (await first, await second) == (1, 2)
    assert sizes == [2]
