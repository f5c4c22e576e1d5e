"""The account that owns everything, its limits and its usage."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from apify_emulator.times import iso, now

USERNAME = "local"
USER_ID = "localUser00000000"
# Groups that accounts on Apify have; here all of them lead to the same place.
PROXY_GROUPS = ("SHADER", "BUYPROXIES94952", "RESIDENTIAL", "GOOGLE_SERP")
# Clients check this list before they use a feature.
_FEATURES = (
    "ACTORS",
    "STORAGE",
    "SCHEDULER",
    "PROXY",
    "PROXY_EXTERNAL_ACCESS",
    "PROXY_RESIDENTIAL",
    "PROXY_SERPS",
    "WEBHOOKS",
    "ACTORS_PUBLIC_ALL",
    "ACTORS_PUBLIC_DEVELOPER",
)
# So high that only the limits of runs and memory can stop a test.
_PLENTY = 1_000_000
UNLIMITED_USD = 1_000_000.0


@dataclass(slots=True, kw_only=True)
class ProxyPlace:
    """
    Where the account's proxy is, and whose passwords it accepts.

    Attributes:
        password: of the account; each process of a run has one of its own, which tells whose bytes
            pass.
        port: on loopback; 0 until the proxy listens.
    """

    password: str = field(default_factory=lambda: _new_password())
    port: int = 0
    of_runs: dict[str, str] = field(default_factory=dict)

    def issue(self, run_id: str) -> None:
        """Gives a run its password."""
        self.of_runs[run_id] = _new_password()

    def revoke(self, run_id: str) -> None:
        """Refuses the password of a run from now on."""
        self.of_runs.pop(run_id, None)

    def password_of(self, run_id: str | None) -> str:
        """Returns the password of a run; that of the account for None."""
        return self.password if run_id is None else self.of_runs.get(run_id, self.password)

    def accepts(self, password: str) -> bool:
        """Returns whether a password is valid."""
        given = password.encode()
        valid = (self.password, *self.of_runs.values())
        return any(secrets.compare_digest(given, one.encode()) for one in valid)

    def run_of(self, password: str) -> str | None:
        """Returns the run that has a valid password; None for that of the account."""
        return next((run for run, one in self.of_runs.items() if one == password), None)


def _new_password() -> str:
    return f"apify_proxy_{secrets.token_hex(12)}"


@dataclass(slots=True, kw_only=True)
class AccountLimits:
    """
    What the account may use; its owner can change it while the emulator runs.

    Attributes:
        max_runs: active runs.
        max_memory_mbytes: of all active runs together.
        max_monthly_usage_usd: starts are refused when the runs of the month have cost this much.
        earlier_usage_usd: what counts as used before the first run here.
    """

    max_runs: int
    max_memory_mbytes: int
    max_monthly_usage_usd: float = UNLIMITED_USD
    earlier_usage_usd: float = 0.0
    data_retention_days: int = _PLENTY


def user_view(created_at: float, limits: AccountLimits, proxy_password: str) -> dict[str, Any]:
    """Returns the account as its owner sees it."""
    return {
        "id": USER_ID,
        "username": USERNAME,
        "profile": {"name": "Emulator"},
        "email": "local@localhost",
        "proxy": {
            "password": proxy_password,
            "groups": [
                {"name": name, "description": "Passes requests on", "availableCount": 1}
                for name in PROXY_GROUPS
            ],
        },
        "plan": _plan(limits),
        "effectivePlatformFeatures": {
            name: {
                # The emulator starts nothing by the clock.
                "isEnabled": name != "SCHEDULER",
                "disabledReason": None,
                "disabledReasonType": None,
                "isTrial": False,
                "trialExpirationAt": None,
            }
            for name in _FEATURES
        },
        "createdAt": iso(created_at),
        "isPaying": False,
    }


def _plan(limits: AccountLimits) -> dict[str, Any]:
    return {
        "id": "LOCAL",
        "description": "The emulator",
        "isEnabled": True,
        "monthlyBasePriceUsd": 0,
        "monthlyUsageCreditsUsd": _PLENTY,
        "usageDiscountPercent": 0,
        "enabledPlatformFeatures": list(_FEATURES),
        "maxMonthlyUsageUsd": limits.max_monthly_usage_usd,
        "maxActorMemoryGbytes": limits.max_memory_mbytes / 1024,
        "maxMonthlyActorComputeUnits": _PLENTY,
        "maxMonthlyResidentialProxyGbytes": 0,
        "maxMonthlyProxySerps": 0,
        "maxMonthlyExternalDataTransferGbytes": _PLENTY,
        "maxActorCount": _PLENTY,
        "maxActorTaskCount": _PLENTY,
        "dataRetentionDays": limits.data_retention_days,
        "availableProxyGroups": dict.fromkeys(PROXY_GROUPS, 1),
        "teamAccountSeatCount": 1,
        "supportLevel": "COMMUNITY",
        "availableAddOns": [],
        "maxConcurrentActorRuns": limits.max_runs,
    }


def public_view() -> dict[str, Any]:
    """Returns the account as others see it."""
    return {"username": USERNAME, "profile": {"name": "Emulator"}}


def limits_view(
    limits: AccountLimits,
    *,
    memory_mbytes: int,
    active_runs: int,
    actor_count: int,
    task_count: int,
    spent_usd: float,
) -> dict[str, Any]:
    """Returns what the account may use and what it uses; memory is in gigabytes here."""
    return {
        "monthlyUsageCycle": usage_cycle(),
        "limits": _limits(limits),
        "current": {
            "monthlyUsageUsd": spent_usd,
            "monthlyActorComputeUnits": 0.0,
            "monthlyExternalDataTransferGbytes": 0.0,
            "monthlyProxySerps": 0,
            "monthlyResidentialProxyGbytes": 0.0,
            "actorMemoryGbytes": memory_mbytes / 1024,
            "actorCount": actor_count,
            "actorTaskCount": task_count,
            "activeActorJobCount": active_runs,
            "teamAccountSeatCount": 1,
            "scheduleCount": 0,
        },
    }


def _limits(limits: AccountLimits) -> dict[str, Any]:
    return {
        "maxMonthlyUsageUsd": limits.max_monthly_usage_usd,
        "maxMonthlyActorComputeUnits": _PLENTY,
        "maxMonthlyExternalDataTransferGbytes": _PLENTY,
        "maxMonthlyProxySerps": 0,
        "maxMonthlyResidentialProxyGbytes": 0,
        "maxActorMemoryGbytes": limits.max_memory_mbytes / 1024,
        "maxActorCount": _PLENTY,
        "maxActorTaskCount": _PLENTY,
        "maxConcurrentActorJobs": limits.max_runs,
        "maxTeamAccountSeatCount": 1,
        "dataRetentionDays": limits.data_retention_days,
        "maxScheduleCount": 0,
    }


def usage_view(spent_usd: float, compute_units: float, unit_usd: float) -> dict[str, Any]:
    """Returns this month's usage."""
    item = {
        "quantity": compute_units,
        "baseAmountUsd": spent_usd,
        "baseUnitPriceUsd": unit_usd,
        "amountAfterVolumeDiscountUsd": spent_usd,
        "priceTiers": [],
    }
    return {
        "usageCycle": usage_cycle(),
        "monthlyServiceUsage": {"ACTOR_COMPUTE_UNITS": item},
        "dailyServiceUsages": [],
        "totalUsageCreditsUsdBeforeVolumeDiscount": spent_usd,
        "totalUsageCreditsUsdAfterVolumeDiscount": spent_usd,
    }


def usage_cycle() -> dict[str, str]:
    """Returns the current month as the API writes it."""
    today = datetime.fromtimestamp(now(), UTC)
    start = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return {"startAt": iso(start.timestamp()), "endAt": iso(following.timestamp() - 0.001)}
