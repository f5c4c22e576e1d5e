"""The endpoints, one module per group."""

from __future__ import annotations

from functools import cache

from apify_emulator.api.router import Router
from apify_emulator.api.routes import (
    actors,
    control,
    datasets,
    key_value_stores,
    request_queues,
    runs,
    starts,
    tasks,
    unsupported,
    users,
    webhooks,
)


@cache
def all_routes() -> Router:
    """Returns the router with all endpoints, the same one for every emulator of a process."""
    router = Router()
    for group in (
        starts,
        runs,
        datasets,
        key_value_stores,
        request_queues,
        actors,
        tasks,
        webhooks,
        users,
        control,
        unsupported,
    ):
        group.register(router)
    return router
