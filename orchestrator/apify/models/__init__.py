"""
The API's answers as models: every field of the official description, in snake_case with its unit.
"""

from orchestrator.apify.models.accounts import (
    Account,
    AccountLimits,
    CurrentUse,
    Limits,
    MonthlyUsage,
    Plan,
    UsageCycle,
    UsageItem,
)
from orchestrator.apify.models.actors import (
    Actor,
    Build,
    DefaultRunOptions,
    PricingInfo,
    Task,
    TaskOptions,
    Version,
)
from orchestrator.apify.models.base import Envelope, Page, WireModel
from orchestrator.apify.models.runs import (
    Run,
    RunList,
    RunListItem,
    RunMeta,
    RunOptions,
    RunStats,
    RunUsage,
    RunUsageUsd,
    StorageIds,
)
from orchestrator.apify.models.storages import Dataset, DatasetList, DatasetStats, Key, KeyList

__all__ = [
    "Account",
    "AccountLimits",
    "Actor",
    "Build",
    "CurrentUse",
    "Dataset",
    "DatasetList",
    "DatasetStats",
    "DefaultRunOptions",
    "Envelope",
    "Key",
    "KeyList",
    "Limits",
    "MonthlyUsage",
    "Page",
    "Plan",
    "PricingInfo",
    "Run",
    "RunList",
    "RunListItem",
    "RunMeta",
    "RunOptions",
    "RunStats",
    "RunUsage",
    "RunUsageUsd",
    "StorageIds",
    "Task",
    "TaskOptions",
    "UsageCycle",
    "UsageItem",
    "Version",
    "WireModel",
]
