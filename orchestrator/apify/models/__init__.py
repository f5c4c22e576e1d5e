"""
The API's answers as models: the fields that are read, in snake_case with their unit.

The names below are imported on first use: the first requests of a command need few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.apify.models.accounts import (
        Account,
        AccountLimits,
        CurrentUse,
        Limits,
        MonthlyUsage,
        UsageItem,
    )
    from orchestrator.apify.models.actors import (
        Actor,
        Build,
        DefaultRunOptions,
        PricingInfo,
        Task,
        TaskOptions,
    )
    from orchestrator.apify.models.base import Envelope, Page, WireModel
    from orchestrator.apify.models.runs import (
        Run,
        RunList,
        RunMeta,
        RunOptions,
        RunStats,
        RunUsage,
        RunUsageUsd,
        StorageIds,
    )
    from orchestrator.apify.models.storages import Dataset, DatasetList, Key, KeyList

__all__ = [
    "Account",
    "AccountLimits",
    "Actor",
    "Build",
    "CurrentUse",
    "Dataset",
    "DatasetList",
    "DefaultRunOptions",
    "Envelope",
    "Key",
    "KeyList",
    "Limits",
    "MonthlyUsage",
    "Page",
    "PricingInfo",
    "Run",
    "RunList",
    "RunMeta",
    "RunOptions",
    "RunStats",
    "RunUsage",
    "RunUsageUsd",
    "StorageIds",
    "Task",
    "TaskOptions",
    "UsageItem",
    "WireModel",
]

HOMES = {
    "Account": "accounts",
    "AccountLimits": "accounts",
    "Actor": "actors",
    "Build": "actors",
    "CurrentUse": "accounts",
    "Dataset": "storages",
    "DatasetList": "storages",
    "DefaultRunOptions": "actors",
    "Envelope": "base",
    "Key": "storages",
    "KeyList": "storages",
    "Limits": "accounts",
    "MonthlyUsage": "accounts",
    "Page": "base",
    "PricingInfo": "actors",
    "Run": "runs",
    "RunList": "runs",
    "RunMeta": "runs",
    "RunOptions": "runs",
    "RunStats": "runs",
    "RunUsage": "runs",
    "RunUsageUsd": "runs",
    "StorageIds": "runs",
    "Task": "actors",
    "TaskOptions": "actors",
    "UsageItem": "accounts",
    "WireModel": "base",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
    # Kept, so that the next use is an ordinary one: each answer names its model.
    globals()[name] = found
    return found
