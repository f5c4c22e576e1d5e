"""The account: its profile, its limits and its usage."""

from __future__ import annotations

from apify_emulator.account import (
    USER_ID,
    USERNAME,
    limits_view,
    public_view,
    usage_view,
    user_view,
)
from apify_emulator.api.context import Context
from apify_emulator.api.router import Router
from apify_emulator.http.answers import Answer, data, plain
from apify_emulator.http.calls import Call, checked_number
from apify_emulator.refusals import ApiError
from apify_emulator.runs.run_views import USD_PER_COMPUTE_UNIT, compute_units, spent_usd
from apify_emulator.times import now


def register(router: Router) -> None:
    """Adds these endpoints."""
    router.add("GET", "users/me", get_me)
    router.add("GET", "users/me/limits", get_limits)
    router.add("PUT", "users/me/limits", change_limits)
    router.add("GET", "users/me/usage/monthly", get_usage)
    router.add("GET", "users/{userId}", get_user, is_open=True)


async def get_me(context: Context, call: Call) -> Answer:
    """Returns the account of the token."""
    # SDKs compare this password with that of their variables.
    password = context.proxy.password_of(call.run_id)
    return data(user_view(context.created_at, context.account, password))


async def get_user(context: Context, call: Call) -> Answer:  # noqa: ARG001 - a handler's form
    """Returns an account as others see it."""
    if call.params["userId"] not in (USER_ID, USERNAME, f"~{USERNAME}"):
        raise ApiError(404, "user-not-found", "User was not found")
    return data(public_view())


async def get_limits(context: Context, call: Call) -> Answer:  # noqa: ARG001 - a handler's form
    """Returns the limits of the account and its current use."""
    return data(
        limits_view(
            context.account,
            memory_mbytes=context.runs.memory_mbytes,
            active_runs=context.runs.active,
            actor_count=len(context.actors.by_id),
            task_count=len(context.tasks.by_id),
            spent_usd=_spent(context),
        )
    )


async def change_limits(context: Context, call: Call) -> Answer:
    """Changes the limits that an owner can change: of the monthly usage and of the retention."""
    body = await call.json_object()
    usage, days = body.get("maxMonthlyUsageUsd"), body.get("dataRetentionDays")
    if usage is not None:
        context.account.max_monthly_usage_usd = checked_number("maxMonthlyUsageUsd", usage)
    if days is not None:
        context.account.data_retention_days = int(checked_number("dataRetentionDays", days))
    return plain({}, status=201)


async def get_usage(context: Context, call: Call) -> Answer:  # noqa: ARG001 - a handler's form
    """Returns the usage of the account; all of it counts for this month."""
    moment = now()
    units = sum(compute_units(run, moment) for run in context.runs.all)
    return data(usage_view(_spent(context), units, USD_PER_COMPUTE_UNIT))


def _spent(context: Context) -> float:
    return context.account.earlier_usage_usd + spent_usd(context.runs, now())
