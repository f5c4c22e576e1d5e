"""A run, alone and in lists (API reference, "Get run", "Get list of runs")."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import orjson
from pydantic import AliasChoices, ConfigDict, Field

from orchestrator.apify.models.actors import PricingInfo
from orchestrator.apify.models.base import LONGEST_WORD, Number, Time, Usd, WireModel
from orchestrator.apify.models.lazy_fields import (
    LazyField,
    counts,
    flag,
    found,
    part,
    parts,
    text,
    time,
    usd,
    whole,
)
from orchestrator.model import runs as model
from orchestrator.model.ids import DatasetId, RunId, StoreId
from orchestrator.safe_text import SECRETS, without_secrets

T = TypeVar("T")

NEVER = datetime.fromtimestamp(0, UTC)
"""The start time of a run whose answer has none."""


class RunMeta(WireModel):
    """
    How a run was started.

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
        resurrect_count: how often the run was resurrected.
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


class ServiceUsage(WireModel, Generic[T]):
    """What a run used of the platform's services."""

    model_config = ConfigDict(alias_generator=str.upper)

    actor_compute_units: T | None = None
    dataset_reads: T | None = None
    dataset_writes: T | None = None
    key_value_store_reads: T | None = None
    key_value_store_writes: T | None = None
    key_value_store_lists: T | None = None
    request_queue_reads: T | None = None
    request_queue_writes: T | None = None
    data_transfer_internal_gbytes: T | None = None
    data_transfer_external_gbytes: T | None = Field(
        None,
        # An older reference spells the name with a question mark.
        validation_alias=AliasChoices(
            "DATA_TRANSFER_EXTERNAL_GBYTES", "DATA_TRANSFER_EXTERNAL_GBYTES?"
        ),
    )
    proxy_residential_transfer_gbytes: T | None = None
    proxy_serps: T | None = None


RunUsage = ServiceUsage[Number]
"""Counts of operations, gigabytes, compute units."""

RunUsageUsd = ServiceUsage[Usd]
"""The cost of each service in US dollars; shown to the run's owner only."""


class StorageIds(WireModel):
    """The ids of a run's storages, by their names in the run; `default` is always there."""

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


LONGEST_MESSAGE = 65_536


class Run:
    """
    A run as its own endpoints show it; lists show a part of its fields.

    Batches read thousands of these, each for a few facts only. So the answer is kept as it was
    received, and a field is converted on use: one that is missing, or has an unexpected type, is
    None.

    Args:
        raw: the run's JSON object; has an `id`.

    Attributes:
        act_id: of the Actor that runs now.
        started_at, finished_at: aware; `finished_at` is None until the run has ended.
        status_message: the Actor's or the platform's own words, untrusted text.
        is_status_message_terminal: whether the message is the last one.
        meta: how the run was started; holds our mark.
        stats: what it took.
        charged_event_counts: how often each event was charged, for pay-per-event Actors.
        options: what it was started with.
        exit_code: of the process; None before the end.
        general_access: who may read the run.
        storage_ids: the ids of all its storages, by name.
        container_url: where the run's own web server answers.
        usage: what it used of each service; `usage_usd` is what that cost.
        usage_total_usd: the cost so far; preliminary until about ten seconds after the end, and
            None where the caller does not own the run.
        metamorphs: the times that it turned into another Actor, the oldest first.
        platform_usage_billing_model: who pays for what it uses of the platform.
    """

    __slots__ = ("_raw",)

    act_id = LazyField("actId", text)
    user_id = LazyField("userId", text)
    actor_task_id = LazyField("actorTaskId", text)
    started_at = LazyField("startedAt", time)
    finished_at = LazyField("finishedAt", time)
    status_message = LazyField("statusMessage", text)
    is_status_message_terminal = LazyField("isStatusMessageTerminal", flag)
    meta = LazyField("meta", part(RunMeta))
    pricing_info = LazyField("pricingInfo", part(PricingInfo))
    stats = LazyField("stats", part(RunStats))
    charged_event_counts = LazyField("chargedEventCounts", counts)
    options = LazyField("options", part(RunOptions))
    build_id = LazyField("buildId", text)
    exit_code = LazyField("exitCode", whole)
    general_access = LazyField("generalAccess", text)
    storage_ids = LazyField("storageIds", part(StorageIds))
    build_number = LazyField("buildNumber", text)
    container_url = LazyField("containerUrl", text)
    is_container_server_ready = LazyField("isContainerServerReady", flag)
    git_branch_name = LazyField("gitBranchName", text)
    usage = LazyField("usage", part(RunUsage))
    usage_total_usd = LazyField("usageTotalUsd", usd)
    usage_usd = LazyField("usageUsd", part(RunUsageUsd))
    metamorphs = LazyField("metamorphs", parts(Metamorph))
    platform_usage_billing_model = LazyField("platformUsageBillingModel", text)

    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw

    def __repr__(self) -> str:
        return f"<Run {self.id} {self.status}>"

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self._raw["id"])

    @property
    def status(self) -> str:
        """The platform's word; see `orchestrator.model.states.RunStatus`."""
        return _word(self._raw.get("status"))

    @property
    def default_dataset_id(self) -> str:
        """Of the dataset that its items go to; empty when missing."""
        return _word(self._raw.get("defaultDatasetId"))

    @property
    def default_key_value_store_id(self) -> str:
        """Of the store that holds its input and output; empty when missing."""
        return _word(self._raw.get("defaultKeyValueStoreId"))

    @property
    def default_request_queue_id(self) -> str:
        """Of its request queue; empty when missing."""
        return _word(self._raw.get("defaultRequestQueueId"))

    @property
    def user_agent(self) -> str | None:
        """Of the program that started it; None where the platform does not show it."""
        return text(_part(self._raw.get("meta")).get("userAgent"))

    def facts(self) -> model.Run:
        """The facts that decisions are made by."""
        # Straight from the JSON, without descriptors and models: this runs for each poll.
        raw = self._raw
        get = raw.get
        message = text(get("statusMessage"))
        options = _part(get("options"))
        return model.Run(
            id=RunId(raw["id"]),
            status=_word(get("status")),
            # Redacted before it is cut: half a secret would not be recognised.
            status_message=None if message is None else SECRETS.redact(message)[:LONGEST_MESSAGE],
            exit_code=whole(get("exitCode")),
            started_at=found(get("startedAt"), time) or NEVER,
            finished_at=found(get("finishedAt"), time),
            dataset_id=DatasetId(_word(get("defaultDatasetId"))),
            store_id=StoreId(_word(get("defaultKeyValueStoreId"))),
            memory_mbytes=whole(options.get("memoryMbytes")),
            timeout_secs=whole(options.get("timeoutSecs")),
            cost_usd=found(get("usageTotalUsd"), usd),
            user_agent=self.user_agent,
            build_number=text(get("buildNumber")),
            resurrect_count=whole(_part(get("stats")).get("resurrectCount")),
        )

    def to_json(self) -> bytes:
        """The object as the platform sent it, unknown fields included and secrets replaced."""
        # A search in bytes is cheap; the tree is walked only if it finds a secret.
        data = orjson.dumps(self._raw)
        return orjson.dumps(without_secrets(self._raw)) if SECRETS.are_in(data) else data


def _word(value: Any) -> str:
    """An id or a status; empty for anything else, such as a text with a line break."""
    # As `is_word`, without a call: each answer has several.
    if isinstance(value, str) and 0 < len(value) <= LONGEST_WORD and value.isprintable():
        return value
    return ""


def _part(value: Any) -> dict[str, Any]:
    """A nested object; empty where it is something else."""
    return value if isinstance(value, dict) else {}


class RunList:
    """
    One page of a list of runs.

    Attributes:
        total: how many there are in all pages.
    """

    __slots__ = ("items", "total")

    def __init__(self, total: int, items: list[Run]) -> None:
        self.total = total
        self.items = items
