"""Calls that are due at a time."""

from __future__ import annotations

from contextlib import nullcontext

import anyio

from apify_emulator.lifecycle.timers import Timers


async def test_timers_fire_in_order_and_not_when_cancelled() -> None:
    """Calls happen in the order of their time, in whatever order they were scheduled."""
    timers = Timers(nullcontext)
    happened: list[str] = []
    done = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(timers.run)
        timers.after(0.03, done.set)
        timers.after(0.02, lambda: happened.append("second"))
        timers.after(0.01, lambda: happened.append("first"))
        timers.after(0.01, lambda: happened.append("never")).cancel()
        await done.wait()
        group.cancel_scope.cancel()
    assert happened == ["first", "second"]
