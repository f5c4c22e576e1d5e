"""
The platform of a batch: the one of the settings, or the local one, started for as long as needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from orchestrator.app.context import Connect, Endpoint
from orchestrator.app.settings import Settings
from orchestrator.descriptors import original_limit
from orchestrator.model.batches import LocalPlatformPlan


def connector(settings: Settings, *, share: bool = False) -> Connect:
    """
    A function that gives the platform of a batch as an async context.

    Args:
        share: whether a local platform that another process serves is used, which may end.
    """

    def connect(local: LocalPlatformPlan | None) -> AbstractAsyncContextManager[Endpoint]:
        return _remote(settings) if local is None else _local(local, share=share)

    return connect


@asynccontextmanager
async def _remote(settings: Settings) -> AsyncIterator[Endpoint]:
    yield Endpoint(base_url=settings.api_base_url, token=settings.require_token())


@asynccontextmanager
async def _local(plan: LocalPlatformPlan, *, share: bool) -> AsyncIterator[Endpoint]:
    # Imported for batches that run on it alone: the server is heavy.
    from orchestrator.platform import PlatformOptions, read_address, serve_platform

    found = read_address(Path(plan.data_dir)) if share else None
    if found is not None:
        yield Endpoint(base_url=found[0], token=found[1])
        return
    options = PlatformOptions(
        data_dir=Path(plan.data_dir),
        actors_dirs=tuple(map(Path, plan.actors_dirs)),
        open_files=original_limit(),
    )
    async with serve_platform(options) as platform:
        yield Endpoint(base_url=platform.url, token=platform.token, is_local=True)
