"""The platform of a batch: the remote one of the settings, or a local one in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from orchestrator.app.setup.context import Connect, Endpoint
from orchestrator.app.setup.local_platform import local_platform
from orchestrator.app.setup.settings import Settings
from orchestrator.event_log import LOG
from orchestrator.model.batches import LocalPlatformPlan


def connector(
    settings: Settings, *, note: Callable[[str], None] | None = None, share: bool = False
) -> Connect:
    """
    A function that connects to the platform of a batch, as an async context.

    Args:
        note: gets a line when the build of an Actor's environment begins and ends.
        share: whether to use the local platform of another process, which may end.
    """

    def connect(local: LocalPlatformPlan | None) -> AbstractAsyncContextManager[Endpoint]:
        if local is None:
            return _remote(settings)
        return local_platform(local, share=share, report=report)

    def report(line: str) -> None:
        LOG.info("environment_build_reported", line=line)
        if note is not None:
            note(line)

    return connect


@asynccontextmanager
async def _remote(settings: Settings) -> AsyncIterator[Endpoint]:
    yield Endpoint(base_url=settings.api_base_url, token=settings.require_token())
