"""
What is looked up once before the first start: the token, each Actor and task, the account's limits.

Nothing has been started when it fails, and it is over within half a minute.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import anyio
import structlog

from orchestrator.app.settings import Settings
from orchestrator.client import ApifyClient
from orchestrator.errors import (
    NotAuthorized,
    NotFound,
    PermanentError,
    PlatformError,
    TransientError,
    UnknownTarget,
    UsageError,
)
from orchestrator.model.batches import BatchPlan
from orchestrator.model.ids import JobKey
from orchestrator.model.jobs import Demand, Target, TargetKind
from orchestrator.scheduler.limits import Claim, Limits

LONGEST_SECS = 25.0
DEFAULT_MAX_RUNS = 25
"""
When the account's limit cannot be read: what the smallest plan allows (apify docs, "Limits").
"""

DEFAULT_MEMORY_MBYTES = 1024
LOOKUPS_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """
    What the account allows, and what runs take that do not say it.
    """

    max_runs: int
    max_memory_mbytes: int | None
    default_memory_mbytes: Mapping[Target, int]

    def claim_of(self, demand: Demand) -> Claim:
        """
        What a run of a job with this demand holds.
        """
        memory = demand.memory_mbytes or self.default_memory_mbytes.get(
            demand.target, DEFAULT_MEMORY_MBYTES
        )
        return Claim(memory_mbytes=memory, pools=demand.pools)


ANY_ROOM = Room(max_runs=DEFAULT_MAX_RUNS, max_memory_mbytes=None, default_memory_mbytes={})
"""
For a process that starts nothing.
"""


async def look_before_start(client: ApifyClient, targets: Collection[Target]) -> Room:
    """
    Checks the token and the targets, and reads the limits.

    Raises:
        NotAuthorized: the token is refused.
        UnknownTarget: names every Actor and task that is not there.
        PlatformError: the platform cannot be reached.
    """
    with anyio.move_on_after(LONGEST_SECS) as scope:
        await client.get_me()
        memory = await _look_up(client, targets)
        max_runs, max_memory_mbytes = await _read_limits(client)
    if scope.cancelled_caught:
        raise PlatformError(
            f"the platform at {client.base_url} does not answer: nothing came back in "
            f"{LONGEST_SECS:.0f} s; check APIFY_API_BASE_URL and the network"
        )
    return Room(
        max_runs=max_runs, max_memory_mbytes=max_memory_mbytes, default_memory_mbytes=memory
    )


def limits_of(
    plan: BatchPlan, room: Room, demands: Mapping[Demand, JobKey], settings: Settings
) -> Limits:
    """
    The limits of a batch: the tighter of what was asked for and what the account allows.

    Args:
        demands: what waits, each with one job that asks it.

    Raises:
        UsageError: some job can never be started within them.
    """
    asked_runs = settings.max_runs or plan.max_runs or settings.max_runs_below_spec
    asked_memory = plan.max_memory_mbytes
    limits = Limits(
        max_runs=min(asked_runs, room.max_runs) if asked_runs else room.max_runs,
        max_memory_mbytes=(min(filter(None, (asked_memory, room.max_memory_mbytes)), default=None)),
        pools=plan.pools,
    )
    refusals = [
        f"{key}: {refusal}"
        for demand, key in demands.items()
        if (refusal := limits.refusal(room.claim_of(demand)))
    ]
    if refusals:
        raise UsageError("these jobs can never be started:\n  " + "\n  ".join(sorted(refusals)))
    return limits


async def _look_up(client: ApifyClient, targets: Collection[Target]) -> dict[Target, int]:
    memory: dict[Target, int] = {}
    unknown: list[str] = []
    turns = anyio.Semaphore(LOOKUPS_AT_ONCE)

    async def look_up(target: Target) -> None:
        async with turns:
            try:
                found = await _default_memory(client, target)
            except NotFound as error:
                unknown.append(f"{target}: {error.message}")
            else:
                if found:
                    memory[target] = found

    async with anyio.create_task_group() as lookups:
        for target in targets:
            lookups.start_soon(look_up, target, name=f"look-up {target}")
    if unknown:
        raise UnknownTarget(
            "not found on the platform, or not shown to this token:\n  "
            + "\n  ".join(sorted(unknown))
        )
    return memory


async def _default_memory(client: ApifyClient, target: Target) -> int | None:
    if target.kind is TargetKind.ACTOR:
        actor = await client.get_actor(target.id)
        return actor.default_run_options.memory_mbytes if actor.default_run_options else None
    task = await client.get_task(target.id)
    if task.options and task.options.memory_mbytes:
        return task.options.memory_mbytes
    try:
        return await _default_memory(client, Target(kind=TargetKind.ACTOR, id=task.act_id))
    except PermanentError:
        # A task may be shown to a token that is not shown its Actor.
        return None


async def _read_limits(client: ApifyClient) -> tuple[int, int | None]:
    """
    The account's runs at once and memory in MB; defaults where they are not to be had.
    """
    try:
        limits = (await client.get_limits()).limits
    except NotAuthorized as error:
        if error.status == 401:
            raise
        limits = None
    except (PermanentError, TransientError) as error:
        structlog.get_logger().warning("limits_not_read", error=str(error))
        limits = None
    if limits is None:
        return DEFAULT_MAX_RUNS, None
    memory_gbytes = limits.max_actor_memory_gbytes
    return (
        limits.max_concurrent_actor_jobs or DEFAULT_MAX_RUNS,
        round(memory_gbytes * 1024) if memory_gbytes else None,
    )
