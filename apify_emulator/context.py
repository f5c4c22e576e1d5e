"""
Everything that a handler may need, in one value.
"""

from __future__ import annotations

from dataclasses import dataclass

from apify_emulator.actors import ActorBook
from apify_emulator.events import EventHub
from apify_emulator.faults import FaultPicker
from apify_emulator.journal import Journal
from apify_emulator.lives import Lives
from apify_emulator.logs import LogBook
from apify_emulator.options import EmulatorOptions
from apify_emulator.runbook import RunBook
from apify_emulator.storages import Datasets, Queues, Stores
from apify_emulator.tasks import TaskBook
from apify_emulator.webhooks import Webhooks


@dataclass(slots=True, kw_only=True)
class Context:
    """
    The parts of a running platform.

    Attributes:
        faults: replaced when the owner sets other faults.
    """

    options: EmulatorOptions
    created_at: float
    journal: Journal
    runs: RunBook
    actors: ActorBook
    tasks: TaskBook
    datasets: Datasets
    stores: Stores
    queues: Queues
    logs: LogBook
    events: EventHub
    webhooks: Webhooks
    lives: Lives
    faults: FaultPicker
