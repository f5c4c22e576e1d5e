"""
Everything that a handler may need, in one value.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.platform.actors import ActorBook
from orchestrator.platform.events import EventHub
from orchestrator.platform.faults import FaultPicker
from orchestrator.platform.journal import Journal
from orchestrator.platform.lives import Lives
from orchestrator.platform.logs import LogBook
from orchestrator.platform.options import PlatformOptions
from orchestrator.platform.runbook import RunBook
from orchestrator.platform.storages import Datasets, Queues, Stores
from orchestrator.platform.tasks import TaskBook
from orchestrator.platform.webhooks import Webhooks


@dataclass(slots=True, kw_only=True)
class Context:
    """
    The parts of a running platform.

    Attributes:
        faults: replaced when the owner sets other faults.
    """

    options: PlatformOptions
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
