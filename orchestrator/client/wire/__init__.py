"""
The API's answers as models: every field of the official description, in snake_case with its unit.
"""

from orchestrator.client.wire.accounts import (
    Account,
    AccountLimits,
    CurrentUse,
    Limits,
    MonthlyUsage,
    Plan,
    UsageCycle,
    UsageItem,
)
from orchestrator.client.wire.actors import (
    Actor,
    Build,
    DefaultRunOptions,
    PricingInfo,
    Task,
    TaskOptions,
    Version,
)
from orchestrator.client.wire.base import Envelope, Page, WireModel
from orchestrator.client.wire.runs import (
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
from orchestrator.client.wire.storages import Dataset, DatasetList, DatasetStats, Key, KeyList

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
