"""The parts of a running emulator that endpoints use, in one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from apify_emulator.account import AccountLimits, ProxyPlace
from apify_emulator.actors.actor_registry import ActorRegistry
from apify_emulator.actors.task import TaskRegistry
from apify_emulator.faults import FaultPicker
from apify_emulator.journal import Journal
from apify_emulator.lifecycle.run_lifecycle import RunLifecycle
from apify_emulator.lifecycle.timers import Timers
from apify_emulator.options import EmulatorOptions
from apify_emulator.processes.event_sockets import EventSockets
from apify_emulator.processes.run_logs import RunLogs
from apify_emulator.runs.run_registry import RunRegistry
from apify_emulator.storages.storage_kinds import Datasets, Queues, Stores
from apify_emulator.webhooks.webhook_registry import Webhooks


@dataclass(slots=True, kw_only=True)
class Context:
    """
    The parts of a running emulator.

    Attributes:
        faults: replaced when the owner sets other faults.
        signing_master: the secret that the keys of signed URLs are made from.
        added_actors: the folders of the stand-ins that the API added.
    """

    options: EmulatorOptions
    account: AccountLimits
    proxy: ProxyPlace
    created_at: float
    signing_master: str
    journal: Journal
    runs: RunRegistry
    actors: ActorRegistry
    tasks: TaskRegistry
    datasets: Datasets
    stores: Stores
    queues: Queues
    logs: RunLogs
    events: EventSockets
    webhooks: Webhooks
    lifecycle: RunLifecycle
    timers: Timers
    faults: FaultPicker
    added_actors: set[Path] = field(default_factory=set)
