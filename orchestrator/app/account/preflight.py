"""
Checks the token, each Actor and task, and the account's limits once, before the first start.

Nothing has been started when a check fails, and all checks end within half a minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.apify.models import DefaultRunOptions, TaskOptions
from orchestrator.app.account.account_limits import (
    ANY_ROOM,
    DEFAULT_MAX_RUNS,
    Prices,
    Room,
    RunDefaults,
    limits_of,
)
from orchestrator.app.account.pricing import floor_of
from orchestrator.app.setup.settings import Settings
from orchestrator.errors import (
    NotAuthorized,
    PermanentError,
    PlatformError,
    TransientError,
    UnknownTarget,
)
from orchestrator.event_log import LOG
from orchestrator.model.batches import BatchPlan
from orchestrator.model.jobs import Demand, Target, TargetKind

if TYPE_CHECKING:
    from orchestrator.scheduler.loop import Scheduler

LONGEST_SECS = 25.0
LOOKUPS_AT_ONCE = 16
LIMITS_EVERY_SECS = 30.0
RUNS_READ = 20
TOKEN, LIMITS, TARGETS = range(3)
"""What is asked for; an error about the first of them is shown."""

USUAL_COMPUTE_UNIT_USD = Decimal("0.4")
"""The price of a compute unit if the account does not show it: that of the dearest plan."""


async def check_before_start(
    client: ApifyClient,
    demands: Collection[Demand],
    *,
    has_budget: bool,
    refuses_missing: bool = True,
    has_runs: bool = False,
) -> Room:
    """
    Checks the token and the targets, and reads the limits; under a budget the prices too.

    Args:
        refuses_missing: whether one target that is missing or refused is enough to raise. If not,
            such targets are in `Room.refused`, and their jobs fail without a start; it raises only
            when no target can be used.
        has_runs: whether runs are in flight, which must be collected even then.

    Raises:
        NotAuthorized: the token is refused.
        UnknownTarget: names every Actor and task that is missing or refused.
        PlatformError: the platform cannot be reached.
    """
    targets = {demand.target for demand in demands}
    uncapped = {demand.target for demand in demands if demand.cap_usd is None}
    lookups = _Lookups(client)
    with anyio.move_on_after(LONGEST_SECS) as scope:
        await lookups.ask(targets)
        if refuses_missing or (len(lookups.refused) == len(targets) and not has_runs):
            lookups.raise_missing()
        prices = await _read_prices(client, uncapped) if has_budget else None
    if scope.cancelled_caught:
        raise PlatformError(
            f"the platform at {client.base_url} does not answer: no answer came in "
            f"{LONGEST_SECS:.0f} s; check APIFY_API_BASE_URL and the network"
        )
    return replace(lookups.whole_room(), prices=prices)


async def keep_limits(
    client: ApifyClient, scheduler: Scheduler, plan: BatchPlan, settings: Settings
) -> None:
    """
    Reads the account's limits repeatedly while jobs wait, until cancelled.

    As long as they cannot be read, the last ones hold.
    """
    while True:
        await anyio.sleep(LIMITS_EVERY_SECS)
        if scheduler.jobs_wait:
            try:
                room = await read_limits(client)
            except PlatformError as error:
                LOG.warning("limits_not_read", error=str(error))
                continue
            if room is not None:
                scheduler.set_limits(limits_of(plan, room, {}, settings))


class _Lookups:
    """
    The platform's answers about the token, the account and the targets, asked at the same time.

    Attributes:
        room: what the account allows.
        account: the user id; None if the platform does not say it.
        refused: the targets that are missing or refused, with the platform's words.
    """

    def __init__(self, client: ApifyClient) -> None:
        self.room = ANY_ROOM
        self.account: str | None = None
        self.defaults: dict[Target, RunDefaults] = {}
        self.refused: dict[Target, str] = {}
        self._client = client
        self._errors: list[tuple[int, PlatformError]] = []

    def whole_room(self) -> Room:
        """What the account allows, with the answers about its targets."""
        return replace(
            self.room,
            defaults=self.defaults,
            refused=self.refused,
            clock=self._client.clock,
            account=self.account,
        )

    async def ask(self, targets: Collection[Target]) -> None:
        """
        Asks for everything.

        Raises:
            PlatformError: one that concerns every job; a refused token comes first.
        """
        async with anyio.create_task_group() as lookups:
            lookups.start_soon(self._check_token, name="token")
            lookups.start_soon(self._read_room, name="limits")
            await _for_each(targets, self._look_up)
        if self._errors:
            raise min(self._errors, key=_importance)[1]

    def raise_missing(self) -> None:
        """Raises `UnknownTarget` when a target is missing or refused."""
        if self.refused:
            raise UnknownTarget(
                "not found on the platform, or not allowed to this token:\n  "
                + "\n  ".join(
                    sorted(f"{target}: {reason}" for target, reason in self.refused.items())
                )
            )

    async def _check_token(self) -> None:
        try:
            self.account = (await self._client.account.get()).id
        except NotAuthorized as error:
            self._errors.append((TOKEN, error))
        except PlatformError as error:
            # A scoped token may start runs without the right to read its user.
            LOG.warning("account_not_read", error=str(error))

    async def _read_room(self) -> None:
        try:
            self.room = await read_limits(self._client) or ANY_ROOM
        except NotAuthorized as error:
            self._errors.append((LIMITS, error))
        except PlatformError as error:
            LOG.warning("limits_not_read", error=str(error))

    async def _look_up(self, target: Target) -> None:
        try:
            self.defaults[target] = await _defaults(self._client, target)
        except PlatformError as error:
            if error.concerns_every_job or isinstance(error, TransientError):
                self._errors.append((TARGETS, error))
            else:
                self.refused[target] = error.message


def _importance(found: tuple[int, PlatformError]) -> tuple[bool, int, str]:
    """Orders errors by what they concern, not by when they arrived: equal trouble reads equal."""
    question, error = found
    return (not isinstance(error, NotAuthorized), question, str(error))


async def _defaults(client: ApifyClient, target: Target) -> RunDefaults:
    if target.kind is TargetKind.ACTOR:
        actor = await client.actors.get_actor(target.id)
        now = client.platform_now() or datetime.now(UTC)
        options = actor.default_run_options or DefaultRunOptions()
        return RunDefaults(
            memory_mbytes=options.memory_mbytes,
            timeout_secs=options.timeout_secs,
            floor_usd=floor_of(actor.pricing_infos or [], now),
        )
    task = await client.actors.get_task(target.id)
    own = task.options or TaskOptions()
    below = RunDefaults()
    if not own.memory_mbytes or own.timeout_secs is None:
        try:
            below = await _defaults(client, Target(kind=TargetKind.ACTOR, id=task.act_id))
        except PermanentError as error:
            if isinstance(error, NotAuthorized):
                raise
            # A token may be allowed to read a task and not its Actor.
            below = RunDefaults()
    return RunDefaults(
        memory_mbytes=own.memory_mbytes or below.memory_mbytes,
        timeout_secs=below.timeout_secs if own.timeout_secs is None else own.timeout_secs,
        cap_usd=own.max_total_charge_usd,
        floor_usd=below.floor_usd,
    )


async def _read_prices(client: ApifyClient, targets: Collection[Target]) -> Prices:
    """The price of a compute unit, and the cost of the dearest recent run of each target."""
    dearest: dict[Target, Decimal] = {}

    async def read_costs(target: Target) -> None:
        try:
            page = await client.runs.list(target=target, desc=True, limit=RUNS_READ)
        except PlatformError as error:
            # This token may not be allowed to list the runs of an Actor: the cost is unknown.
            LOG.warning("runs_not_listed", target=str(target), error=str(error))
            return
        ended = [run.facts() for run in page.items]
        costs = [run.cost_usd for run in ended if run.is_terminal and run.cost_usd is not None]
        if costs:
            dearest[target] = max(costs)

    unit = USUAL_COMPUTE_UNIT_USD
    try:
        usage = (await client.account.get_monthly_usage()).monthly_service_usage or {}
        compute = usage.get("ACTOR_COMPUTE_UNITS")
        unit = (compute and compute.base_unit_price_usd) or unit
    except PlatformError as error:
        LOG.warning("price_not_read", error=str(error), assumed_usd=str(unit))
    await _for_each(targets, read_costs)
    return Prices(compute_unit_usd=unit, dearest_usd=dearest)


async def _for_each(targets: Collection[Target], work: Callable[[Target], Awaitable[None]]) -> None:
    """Works on several targets at once."""
    turns = anyio.Semaphore(LOOKUPS_AT_ONCE)

    async def in_turn(target: Target) -> None:
        async with turns:
            await work(target)

    async with anyio.create_task_group() as lookups:
        for target in targets:
            lookups.start_soon(in_turn, target, name=f"look-up {target}")


async def read_limits(client: ApifyClient) -> Room | None:
    """
    What the account allows; None if the platform does not say it.

    Raises:
        PlatformError: it refuses to say it, or is away.
    """
    limits = (await client.account.get_limits()).limits
    if limits is None:
        return None
    runs, memory_gbytes = limits.max_concurrent_actor_jobs, limits.max_actor_memory_gbytes
    # What is not above zero is no limit: with -1, some services mean that there is none.
    return Room(
        max_runs=runs if runs and runs > 0 else DEFAULT_MAX_RUNS,
        max_memory_mbytes=round(memory_gbytes * 1024)
        if memory_gbytes and memory_gbytes > 0
        else None,
        keeps_days=limits.data_retention_days,
    )
