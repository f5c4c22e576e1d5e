"""How the API shows runs and their costs."""

from __future__ import annotations

from typing import Any

from apify_emulator.runs.charging import charged_usd
from apify_emulator.runs.run import Run, RunOptions
from apify_emulator.runs.run_registry import RunRegistry
from apify_emulator.runs.run_usage import usage_stats
from apify_emulator.times import iso, iso_or_none

# The price of one gigabyte of memory for an hour, so that runs of real processes have a cost.
USD_PER_COMPUTE_UNIT = 0.25


def compute_units(run: Run, moment: float) -> float:
    """Returns memory times time, in gigabyte hours."""
    return run.options.memory_mbytes / 1024 * run.seconds_run(moment) / 3600


def cost_usd(run: Run, moment: float) -> float:
    """Returns the cost of the run so far, at most its cap."""
    cost = run.cost_usd
    if cost is None:
        cost = charged_usd(run)
    if cost is None:
        cost = compute_units(run, moment) * USD_PER_COMPUTE_UNIT
    cap = run.options.max_total_charge_usd
    return cost if cap is None else min(cost, cap)


def spent_usd(runs: RunRegistry, moment: float) -> float:
    """Returns the cost of all runs so far."""
    return runs.ended_usd + sum(cost_usd(run, moment) for run in runs.active_runs)


def _meta(run: Run, *, with_agent: bool) -> dict[str, Any]:
    meta: dict[str, Any] = {"origin": run.origin}
    if with_agent:
        meta["clientIp"] = run.client_ip
        meta["userAgent"] = run.user_agent
    return meta


def run_summary(run: Run, moment: float, *, with_agent: bool) -> dict[str, Any]:
    """Returns a run as lists show it."""
    return {
        "id": run.id,
        "actId": run.actor_id,
        "actorTaskId": run.task_id,
        "startedAt": iso(run.started_at),
        "finishedAt": iso_or_none(run.finished_at),
        "status": run.status,
        "buildId": run.build_id,
        "buildNumber": run.build_number,
        "meta": _meta(run, with_agent=with_agent),
        "usageTotalUsd": cost_usd(run, moment),
        "defaultKeyValueStoreId": run.store_id,
        "defaultDatasetId": run.dataset_id,
        "defaultRequestQueueId": run.queue_id,
    }


def run_view(run: Run, user_id: str, moment: float, *, with_usage: bool) -> dict[str, Any]:
    """
    Returns a run as its own endpoint shows it.

    Args:
        with_usage: False leaves the cost out, as for a caller without a token or a cost that is
            not final yet.
    """
    view: dict[str, Any] = {
        "id": run.id,
        "actId": run.actor_id,
        "userId": user_id,
        "actorTaskId": run.task_id,
        "startedAt": iso(run.started_at),
        "finishedAt": iso_or_none(run.finished_at),
        "status": run.status,
        "statusMessage": run.status_message,
        "isStatusMessageTerminal": run.is_message_terminal,
        "meta": _meta(run, with_agent=True),
        "stats": _stats(run, moment),
        "options": _options(run.options),
        "buildId": run.build_id,
        "buildNumber": run.build_number,
        "exitCode": run.exit_code,
        "generalAccess": run.general_access,
        "defaultKeyValueStoreId": run.store_id,
        "defaultDatasetId": run.dataset_id,
        "defaultRequestQueueId": run.queue_id,
        "storageIds": _storage_ids(run),
        "chargedEventCounts": run.charged or {},
        # With a price for events or items, the developer pays for the platform.
        "platformUsageBillingModel": "USER" if charged_usd(run) is None else "DEVELOPER",
    }
    if run.pricing is not None:
        view["pricingInfo"] = run.pricing
    if run.metamorphs:
        view["metamorphs"] = run.metamorphs
    if with_usage:
        cost = cost_usd(run, moment)
        view["usageTotalUsd"] = cost
        view["usage"] = {"ACTOR_COMPUTE_UNITS": compute_units(run, moment)}
        view["usageUsd"] = {"ACTOR_COMPUTE_UNITS": cost}
    return view


def _stats(run: Run, moment: float) -> dict[str, Any]:
    seconds = run.seconds_run(moment)
    return {
        "inputBodyLen": run.input_bytes,
        "migrationCount": run.migration_count,
        "rebootCount": run.reboot_count,
        "restartCount": run.restart_count,
        "resurrectCount": run.resurrect_count,
        "durationMillis": round(seconds * 1000),
        "runTimeSecs": round(seconds, 3),
        "metamorph": len(run.metamorphs or ()),
        "computeUnits": compute_units(run, moment),
        "netRxBytes": run.usage.received_bytes if run.usage else 0,
        "netTxBytes": run.usage.sent_bytes if run.usage else 0,
        **usage_stats(run.usage),
    }


def _options(options: RunOptions) -> dict[str, Any]:
    return {
        "build": options.build,
        "timeoutSecs": options.timeout_secs,
        "memoryMbytes": options.memory_mbytes,
        # Apify gives a run twice its memory as disk space.
        "diskMbytes": 2 * options.memory_mbytes,
        "maxItems": options.max_items,
        "maxTotalChargeUsd": options.max_total_charge_usd,
    }


def _storage_ids(run: Run) -> dict[str, Any]:
    return {
        "datasets": {"default": run.dataset_id, **(run.datasets or {})},
        "keyValueStores": {"default": run.store_id},
        "requestQueues": {"default": run.queue_id},
    }
