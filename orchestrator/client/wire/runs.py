"""
A run, alone and in lists (API reference, "Get run", "Get list of runs").
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property

from pydantic import AliasChoices, Field

from orchestrator.client.wire.actors import PricingInfo
from orchestrator.client.wire.base import (
    Number,
    Page,
    Time,
    Usd,
    WireModel,
    read_leniently,
)
from orchestrator.model import runs as model
from orchestrator.model.ids import DatasetId, RunId, StoreId

NEVER = datetime.fromtimestamp(0, UTC)
"""
Stands for the start of a run whose answer leaves it out.
"""


class RunMeta(WireModel):
    """
    How a run came to be.

    Attributes:
        origin: such as `API`, `WEB`, `SCHEDULER`.
        user_agent: of the client that started the run; holds our mark.
        schedule_id: of the schedule that started it.
    """

    origin: str | None = None
    client_ip: str | None = None
    user_agent: str | None = None
    schedule_id: str | None = None
    scheduled_at: Time | None = None


class RunStats(WireModel):
    """
    What a run took; preliminary until about ten seconds after its end.

    Attributes:
        input_body_len: bytes of the input.
        restart_count: how often its process was restarted after a failure.
        resurrect_count: how often the run was brought back after its end.
        mem_avg_bytes, mem_max_bytes, mem_current_bytes: memory in bytes.
        cpu_avg_usage, cpu_max_usage, cpu_current_usage: per cent of one core.
        net_rx_bytes, net_tx_bytes: network traffic in bytes.
        duration_millis: from start to end, in milliseconds.
        run_time_secs: that the process ran, in seconds.
        metamorph: how often the run turned into another Actor.
        compute_units: gigabytes of memory times hours.
    """

    input_body_len: Number | None = None
    migration_count: Number | None = None
    reboot_count: Number | None = None
    restart_count: Number | None = None
    resurrect_count: Number | None = None
    mem_avg_bytes: Number | None = None
    mem_max_bytes: Number | None = None
    mem_current_bytes: Number | None = None
    cpu_avg_usage: Number | None = None
    cpu_max_usage: Number | None = None
    cpu_current_usage: Number | None = None
    net_rx_bytes: Number | None = None
    net_tx_bytes: Number | None = None
    duration_millis: Number | None = None
    run_time_secs: Number | None = None
    metamorph: Number | None = None
    compute_units: Number | None = None


class RunOptions(WireModel):
    """
    What a run was started with.

    Attributes:
        build: tag or number.
        timeout_secs: 0 means none.
        memory_mbytes: in megabytes, a power of two.
        disk_mbytes: in megabytes.
        max_items: cap on charged items.
        max_total_charge_usd: cap on the cost.
    """

    build: str | None = None
    timeout_secs: Number | None = None
    memory_mbytes: Number | None = None
    disk_mbytes: Number | None = None
    max_items: Number | None = None
    max_total_charge_usd: Usd | None = None


EXTERNAL_TRANSFER = AliasChoices("DATA_TRANSFER_EXTERNAL_GBYTES", "DATA_TRANSFER_EXTERNAL_GBYTES?")
"""
An older reference spells the name with a question mark.
"""


class RunUsage(WireModel):
    """
    What a run used, by service: counts of operations, gigabytes, compute units.
    """

    actor_compute_units: Number | None = Field(None, alias="ACTOR_COMPUTE_UNITS")
    dataset_reads: Number | None = Field(None, alias="DATASET_READS")
    dataset_writes: Number | None = Field(None, alias="DATASET_WRITES")
    key_value_store_reads: Number | None = Field(None, alias="KEY_VALUE_STORE_READS")
    key_value_store_writes: Number | None = Field(None, alias="KEY_VALUE_STORE_WRITES")
    key_value_store_lists: Number | None = Field(None, alias="KEY_VALUE_STORE_LISTS")
    request_queue_reads: Number | None = Field(None, alias="REQUEST_QUEUE_READS")
    request_queue_writes: Number | None = Field(None, alias="REQUEST_QUEUE_WRITES")
    data_transfer_internal_gbytes: Number | None = Field(
        None, alias="DATA_TRANSFER_INTERNAL_GBYTES"
    )
    data_transfer_external_gbytes: Number | None = Field(
        None,
        validation_alias=EXTERNAL_TRANSFER,
        serialization_alias="DATA_TRANSFER_EXTERNAL_GBYTES",
    )
    proxy_residential_transfer_gbytes: Number | None = Field(
        None, alias="PROXY_RESIDENTIAL_TRANSFER_GBYTES"
    )
    proxy_serps: Number | None = Field(None, alias="PROXY_SERPS")


class RunUsageUsd(WireModel):
    """
    What the platform's services cost a run, in US dollars; shown to its owner only.
    """

    actor_compute_units: Usd | None = Field(None, alias="ACTOR_COMPUTE_UNITS")
    dataset_reads: Usd | None = Field(None, alias="DATASET_READS")
    dataset_writes: Usd | None = Field(None, alias="DATASET_WRITES")
    key_value_store_reads: Usd | None = Field(None, alias="KEY_VALUE_STORE_READS")
    key_value_store_writes: Usd | None = Field(None, alias="KEY_VALUE_STORE_WRITES")
    key_value_store_lists: Usd | None = Field(None, alias="KEY_VALUE_STORE_LISTS")
    request_queue_reads: Usd | None = Field(None, alias="REQUEST_QUEUE_READS")
    request_queue_writes: Usd | None = Field(None, alias="REQUEST_QUEUE_WRITES")
    data_transfer_internal_gbytes: Usd | None = Field(None, alias="DATA_TRANSFER_INTERNAL_GBYTES")
    data_transfer_external_gbytes: Usd | None = Field(
        None,
        validation_alias=EXTERNAL_TRANSFER,
        serialization_alias="DATA_TRANSFER_EXTERNAL_GBYTES",
    )
    proxy_residential_transfer_gbytes: Usd | None = Field(
        None, alias="PROXY_RESIDENTIAL_TRANSFER_GBYTES"
    )
    proxy_serps: Usd | None = Field(None, alias="PROXY_SERPS")


class StorageIds(WireModel):
    """
    The ids of a run's storages, by their names in the run; `default` is always there.
    """

    datasets: dict[str, str] | None = None
    key_value_stores: dict[str, str] | None = None
    request_queues: dict[str, str] | None = None


class Metamorph(WireModel):
    """
    One time that a run turned into another Actor.

    Attributes:
        input_key: of the record that holds the new input.
    """

    created_at: Time | None = None
    actor_id: str | None = None
    build_id: str | None = None
    input_key: str | None = None


class RunListItem(WireModel):
    """
    A run as lists tell it.

    Attributes:
        status: the platform's word; see `orchestrator.model.states.RunStatus`.
        finished_at: None while the run goes on.
        usage_total_usd: the cost so far; preliminary until about ten seconds after the end, and
            absent where the caller does not own the run.
    """

    id: str
    act_id: str | None = None
    user_id: str | None = None
    actor_task_id: str | None = None
    status: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None
    build_id: str | None = None
    build_number: str | None = None
    build_number_int: int | None = None
    meta: RunMeta | None = None
    usage_total_usd: Usd | None = None
    default_key_value_store_id: str = ""
    default_dataset_id: str = ""
    default_request_queue_id: str = ""

    def facts(self) -> model.Run:
        """
        The facts that decisions are made by; a list does not tell exit code and message.
        """
        return model.Run(
            id=RunId(self.id),
            status=self.status,
            started_at=self.started_at or NEVER,
            finished_at=self.finished_at,
            dataset_id=DatasetId(self.default_dataset_id),
            store_id=StoreId(self.default_key_value_store_id),
            cost_usd=self.usage_total_usd,
            user_agent=self.meta.user_agent if self.meta else None,
            build_number=self.build_number,
        )


class Run(WireModel):
    """
    A run as its own endpoints tell it.

    Its nested objects (`stats`, `options`, `usage`, …) are read when they are asked for.

    Attributes:
        act_id: of the Actor that runs now.
        status: the platform's word; see `orchestrator.model.states.RunStatus`.
        status_message: the Actor's or the platform's own words, untrusted text.
        finished_at: None while the run goes on.
        exit_code: of the process; None before the end.
        general_access: who may read the run.
        container_url: where the run's own web server answers.
        usage_total_usd: the cost so far; preliminary until about ten seconds after the end, and
            absent where the caller does not own the run.
        platform_usage_billing_model: who pays for what the run uses of the platform.
    """

    id: str
    act_id: str | None = None
    user_id: str | None = None
    actor_task_id: str | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    status: str = ""
    status_message: str | None = None
    is_status_message_terminal: bool | None = None
    build_id: str | None = None
    exit_code: int | None = None
    general_access: str | None = None
    default_key_value_store_id: str = ""
    default_dataset_id: str = ""
    default_request_queue_id: str = ""
    build_number: str | None = None
    container_url: str | None = None
    is_container_server_ready: bool | None = None
    git_branch_name: str | None = None
    usage_total_usd: Usd | None = None
    platform_usage_billing_model: str | None = None

    @cached_property
    def meta(self) -> RunMeta | None:
        """
        How the run came to be.
        """
        return self.part("meta", RunMeta)

    @cached_property
    def stats(self) -> RunStats | None:
        """
        What the run took.
        """
        return self.part("stats", RunStats)

    @cached_property
    def options(self) -> RunOptions | None:
        """
        What the run was started with.
        """
        return self.part("options", RunOptions)

    @cached_property
    def usage(self) -> RunUsage | None:
        """
        What the run used of each service.
        """
        return self.part("usage", RunUsage)

    @cached_property
    def usage_usd(self) -> RunUsageUsd | None:
        """
        What that cost.
        """
        return self.part("usageUsd", RunUsageUsd)

    @cached_property
    def storage_ids(self) -> StorageIds | None:
        """
        The ids of all its storages, by name.
        """
        return self.part("storageIds", StorageIds)

    @cached_property
    def pricing_info(self) -> PricingInfo | None:
        """
        What the Actor's runs cost.
        """
        return self.part("pricingInfo", PricingInfo)

    @cached_property
    def charged_event_counts(self) -> dict[str, int]:
        """
        How often each event was charged, for pay-per-event Actors.
        """
        counts = (self.model_extra or {}).get("chargedEventCounts")
        return {name: int(count) for name, count in counts.items()} if counts else {}

    @cached_property
    def metamorphs(self) -> list[Metamorph]:
        """
        The times that the run turned into another Actor, the oldest first.
        """
        told = (self.model_extra or {}).get("metamorphs") or []
        read = (read_leniently(Metamorph, metamorph) for metamorph in told)
        return [metamorph for metamorph in read if metamorph is not None]

    def facts(self) -> model.Run:
        """
        The facts that decisions are made by.
        """
        more = self.model_extra or {}
        meta, stats = more.get("meta"), more.get("stats")
        return model.Run(
            id=RunId(self.id),
            status=self.status,
            status_message=self.status_message,
            exit_code=self.exit_code,
            started_at=self.started_at or NEVER,
            finished_at=self.finished_at,
            dataset_id=DatasetId(self.default_dataset_id),
            store_id=StoreId(self.default_key_value_store_id),
            cost_usd=self.usage_total_usd,
            user_agent=_text(meta, "userAgent"),
            build_number=self.build_number,
            resurrect_count=_count(stats, "resurrectCount"),
        )


def _text(holder: object, name: str) -> str | None:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, str) else None


def _count(holder: object, name: str) -> int | None:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, int) else None


RunList = Page[RunListItem]
