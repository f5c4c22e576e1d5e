"""The API's answers as models: the fields that are read, in snake_case with their unit."""

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
    RunListItem,
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
    "RunListItem",
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
