"""
The API's JSON as values: every field that a batch runner may want to see.

Fields that are not listed here are kept and written out again; missing ones are None; words that
the platform may add to are plain strings. Names are the API's in snake_case, with their units.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from orchestrator.model.ids import DatasetId, RunId, StoreId
from orchestrator.model.runs import Run as RunFacts


class Wire(BaseModel):
    """
    One JSON object of the API.
    """

    model_config = ConfigDict(
        extra="allow", alias_generator=to_camel, populate_by_name=True, defer_build=True
    )

    def to_json(self) -> bytes:
        """
        The object as the API sent it, unknown fields included.
        """
        return self.model_dump_json(by_alias=True, exclude_unset=True).encode()


class RunMeta(Wire):
    """
    Where a run came from. `user_agent` is what the client that started it called itself.
    """

    origin: str | None = None
    client_ip: str | None = None
    user_agent: str | None = None
    schedule_id: str | None = None
    scheduled_at: datetime | None = None


class RunOptions(Wire):
    """
    What a run was started with: seconds, megabytes, dollars.
    """

    build: str | None = None
    timeout_secs: float | None = None
    memory_mbytes: int | None = None
    disk_mbytes: int | None = None
    max_items: int | None = None
    max_total_charge_usd: Decimal | None = None


class RunStats(Wire):
    """
    What a run used; preliminary for some seconds after its end. Bytes, percent, milliseconds.
    """

    input_body_len: int | None = None
    migration_count: int | None = None
    reboot_count: int | None = None
    restart_count: int | None = None
    resurrect_count: int | None = None
    mem_avg_bytes: float | None = None
    mem_max_bytes: int | None = None
    mem_current_bytes: int | None = None
    cpu_avg_usage: float | None = None
    cpu_max_usage: float | None = None
    cpu_current_usage: float | None = None
    net_rx_bytes: int | None = None
    net_tx_bytes: int | None = None
    duration_millis: int | None = None
    run_time_secs: float | None = None
    metamorph: int | None = None
    compute_units: float | None = None


class RunUsage(Wire):
    """
    Units used, or what they cost in dollars, by service.
    """

    actor_compute_units: Decimal | None = Field(None, alias="ACTOR_COMPUTE_UNITS")
    dataset_reads: Decimal | None = Field(None, alias="DATASET_READS")
    dataset_writes: Decimal | None = Field(None, alias="DATASET_WRITES")
    key_value_store_reads: Decimal | None = Field(None, alias="KEY_VALUE_STORE_READS")
    key_value_store_writes: Decimal | None = Field(None, alias="KEY_VALUE_STORE_WRITES")
    key_value_store_lists: Decimal | None = Field(None, alias="KEY_VALUE_STORE_LISTS")
    request_queue_reads: Decimal | None = Field(None, alias="REQUEST_QUEUE_READS")
    request_queue_writes: Decimal | None = Field(None, alias="REQUEST_QUEUE_WRITES")
    data_transfer_internal_gbytes: Decimal | None = Field(
        None, alias="DATA_TRANSFER_INTERNAL_GBYTES"
    )
    data_transfer_external_gbytes: Decimal | None = Field(
        None,
        validation_alias="DATA_TRANSFER_EXTERNAL_GBYTES",
        serialization_alias="DATA_TRANSFER_EXTERNAL_GBYTES",
    )
    proxy_residential_transfer_gbytes: Decimal | None = Field(
        None, alias="PROXY_RESIDENTIAL_TRANSFER_GBYTES"
    )
    proxy_serps: Decimal | None = Field(None, alias="PROXY_SERPS")


class StorageIds(Wire):
    """
    The storages of a run by alias; `default` is always there.
    """

    datasets: dict[str, str] | None = None
    key_value_stores: dict[str, str] | None = None
    request_queues: dict[str, str] | None = None


class Metamorph(Wire):
    """
    One change of a run into another Actor.
    """

    created_at: datetime | None = None
    actor_id: str | None = None
    build_id: str | None = None
    input_key: str | None = None


class RunShort(Wire):
    """
    A run as the lists show it (API reference, "Get list of runs").
    """

    id: str
    act_id: str | None = None
    user_id: str | None = None
    actor_task_id: str | None = None
    started_at: datetime
    finished_at: datetime | None = None
    status: str
    meta: RunMeta | None = None
    build_id: str | None = None
    build_number: str | None = None
    usage_total_usd: Decimal | None = None
    default_key_value_store_id: str
    default_dataset_id: str
    default_request_queue_id: str | None = None

    def facts(self) -> RunFacts:
        """
        What decisions are made by.
        """
        return RunFacts(
            id=RunId(self.id),
            status=self.status,
            started_at=self.started_at,
            finished_at=self.finished_at,
            dataset_id=DatasetId(self.default_dataset_id),
            store_id=StoreId(self.default_key_value_store_id),
            cost_usd=self.usage_total_usd,
            user_agent=self.meta.user_agent if self.meta else None,
            build_number=self.build_number,
        )


class Run(RunShort):
    """
    A run in full (API reference, "Run object").
    """

    status_message: str | None = None
    is_status_message_terminal: bool | None = None
    exit_code: int | None = None
    stats: RunStats | None = None
    options: RunOptions | None = None
    pricing_info: dict[str, Any] | None = None
    charged_event_counts: dict[str, int] | None = None
    general_access: str | None = None
    storage_ids: StorageIds | None = None
    container_url: str | None = None
    is_container_server_ready: bool | None = None
    git_branch_name: str | None = None
    usage: RunUsage | None = None
    usage_usd: RunUsage | None = None
    metamorphs: list[Metamorph] | None = None
    platform_usage_billing_model: str | None = None

    def facts(self) -> RunFacts:
        """
        What decisions are made by.
        """
        return RunFacts(
            id=RunId(self.id),
            status=self.status,
            status_message=self.status_message,
            exit_code=self.exit_code,
            started_at=self.started_at,
            finished_at=self.finished_at,
            dataset_id=DatasetId(self.default_dataset_id),
            store_id=StoreId(self.default_key_value_store_id),
            cost_usd=self.usage_total_usd,
            user_agent=self.meta.user_agent if self.meta else None,
            build_number=self.build_number,
            resurrect_count=self.stats.resurrect_count if self.stats else None,
        )


class RunList(Wire):
    """
    A page of a list of runs, sorted by start.
    """

    total: int
    offset: int = 0
    limit: int = 0
    count: int = 0
    desc: bool = False
    items: list[RunShort]


class DefaultRunOptions(Wire):
    """
    What an Actor's or a task's runs are started with when the start does not say.
    """

    build: str | None = None
    timeout_secs: float | None = None
    memory_mbytes: int | None = None
    restart_on_error: bool | None = None
    max_items: int | None = None
    max_total_charge_usd: Decimal | None = None
    force_permission_level: str | None = None


class Actor(Wire):
    """
    An Actor (API reference, "Actor object").
    """

    id: str
    user_id: str | None = None
    name: str
    username: str | None = None
    title: str | None = None
    description: str | None = None
    is_public: bool | None = None
    is_deprecated: bool | None = None
    actor_permission_level: str | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None
    default_run_options: DefaultRunOptions | None = None
    tagged_builds: dict[str, Any] | None = None
    pricing_infos: list[dict[str, Any]] | None = None


class Task(Wire):
    """
    A task: an Actor with saved input and options.
    """

    id: str
    user_id: str | None = None
    act_id: str
    name: str
    username: str | None = None
    title: str | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None
    options: DefaultRunOptions | None = None
    input: Any = None


class Account(Wire):
    """
    The user that the token belongs to.
    """

    id: str | None = None
    username: str | None = None
    email: str | None = None
    plan: dict[str, Any] | None = None
    is_paying: bool | None = None
    created_at: datetime | None = None


class UsageCycle(Wire):
    """
    The month of the bill.
    """

    start_at: datetime | None = None
    end_at: datetime | None = None


class Limits(Wire):
    """
    What the account allows. Memory is in gigabytes here, unlike that of runs.
    """

    max_monthly_usage_usd: Decimal | None = None
    max_monthly_actor_compute_units: float | None = None
    max_monthly_external_data_transfer_gbytes: float | None = None
    max_monthly_proxy_serps: int | None = None
    max_monthly_residential_proxy_gbytes: float | None = None
    max_actor_memory_gbytes: float | None = None
    max_actor_count: int | None = None
    max_actor_task_count: int | None = None
    max_concurrent_actor_jobs: int | None = None
    max_team_account_seat_count: int | None = None
    data_retention_days: int | None = None
    max_schedule_count: int | None = None


class Current(Wire):
    """
    What of the limits is in use, by all runs and builds of the account.
    """

    monthly_usage_usd: Decimal | None = None
    monthly_actor_compute_units: float | None = None
    monthly_external_data_transfer_gbytes: float | None = None
    monthly_proxy_serps: int | None = None
    monthly_residential_proxy_gbytes: float | None = None
    actor_memory_gbytes: float | None = None
    actor_count: int | None = None
    actor_task_count: int | None = None
    active_actor_job_count: int | None = None
    team_account_seat_count: int | None = None
    schedule_count: int | None = None


class AccountLimits(Wire):
    """
    The limits and their use.
    """

    monthly_usage_cycle: UsageCycle | None = None
    limits: Limits = Field(default_factory=Limits)
    current: Current = Field(default_factory=Current)


class MonthlyUsage(Wire):
    """
    The bill of a month so far, by service and by day.
    """

    usage_cycle: UsageCycle | None = None
    monthly_service_usage: dict[str, Any] | None = None
    daily_service_usages: list[dict[str, Any]] | None = None
    total_usage_credits_usd_before_volume_discount: Decimal | None = None
    total_usage_credits_usd_after_volume_discount: Decimal | None = None


class Dataset(Wire):
    """
    A dataset. Its counters may lag some seconds behind what was pushed.
    """

    id: str
    name: str | None = None
    user_id: str | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None
    accessed_at: datetime | None = None
    item_count: int | None = None
    clean_item_count: int | None = None
    act_id: str | None = None
    act_run_id: str | None = None
    fields: list[str] | None = None


class StoreKey(Wire):
    """
    A key of a key-value store and the size of its record in bytes.
    """

    key: str
    size: int | None = None


class KeyList(Wire):
    """
    A page of keys, in binary order.
    """

    items: list[StoreKey]
    count: int = 0
    limit: int = 0
    is_truncated: bool = False
    exclusive_start_key: str | None = None
    next_exclusive_start_key: str | None = None
