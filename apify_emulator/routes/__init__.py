"""
The endpoints, a file per group.
"""

from __future__ import annotations

from apify_emulator.routes import (
    actors,
    datasets,
    queues,
    runs,
    starts,
    stores,
    tasks,
    users,
    webhooks,
)
from apify_emulator.routing import Router


def all_routes() -> Router:
    """
    Return a router that knows every endpoint.
    """
    router = Router()
    for group in (starts, runs, datasets, stores, queues, actors, tasks, webhooks, users):
        group.register(router)
    return router
