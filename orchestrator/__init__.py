"""
Runs batches of Apify Actors and tasks: starts each run once, obeys limits, loses nothing.

The names below are the Python API. They are imported on first use, so that the commands, which
need none of them, start as fast as without them.
"""

from __future__ import annotations

from orchestrator.version import __version__

TYPE_CHECKING = False  # not from `typing`, which takes as long to import as all the rest
if TYPE_CHECKING:
    from orchestrator.api.batch import Batch
    from orchestrator.api.batch_result import BatchResult
    from orchestrator.api.events import (
        AttemptFailed,
        BatchEnded,
        BatchStarted,
        Event,
        JobSettled,
        RunStarted,
    )
    from orchestrator.api.job import Job
    from orchestrator.api.job_result import Items, JobResult
    from orchestrator.apify.client import ApifyClient

__all__ = [
    "ApifyClient",
    "AttemptFailed",
    "Batch",
    "BatchEnded",
    "BatchResult",
    "BatchStarted",
    "Event",
    "Items",
    "Job",
    "JobResult",
    "JobSettled",
    "RunStarted",
    "__version__",
]

HOMES = {
    "ApifyClient": "apify.client",
    "AttemptFailed": "api.events",
    "Batch": "api.batch",
    "BatchEnded": "api.events",
    "BatchResult": "api.batch_result",
    "BatchStarted": "api.events",
    "Event": "api.events",
    "Items": "api.job_result",
    "Job": "api.job",
    "JobResult": "api.job_result",
    "JobSettled": "api.events",
    "RunStarted": "api.events",
}
"""The modules of the public names."""


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__]
