"""What a command needs to work on a batch: settings, platform, client options, log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions
from orchestrator.app.setup.interruption import Listening
from orchestrator.app.setup.process_limits import capacity
from orchestrator.app.setup.settings import Settings
from orchestrator.errors import OrchestratorError
from orchestrator.event_log import LOG, LogSink, bound
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import LocalPlatformPlan
from orchestrator.model.ids import JobKey
from orchestrator.model.progress import Progress
from orchestrator.model.runs import Run
from orchestrator.model.shard import Shard
from orchestrator.scheduler.timings import TIMINGS, Timings

ASKING_AWAY_SECS = 12.0
"""How long the first question of a command waits for a platform that is away."""

if TYPE_CHECKING:
    from orchestrator.app.batch.lifecycle import Result
    from orchestrator.app.monitoring.metrics_file import MetricsFile
    from orchestrator.app.monitoring.trace import BatchTrace
    from orchestrator.app.notifications.announcer import Announcer


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """
    The address of the platform, and the token.

    Attributes:
        is_local: whether this process serves it.
    """

    base_url: str
    token: SecretStr
    is_local: bool = False


Connect = Callable[[LocalPlatformPlan | None], AbstractAsyncContextManager[Endpoint]]
"""Returns the platform of a batch: that of the settings, or the local one, started."""


class Display(Protocol):
    """Shows the progress of a batch."""

    async def show(self, folder: Path, progress: Callable[[int], Progress]) -> None:
        """
        Shows progress until cancelled.

        Args:
            folder: of the batch.
            progress: returns the figures now, with at most so many runs in progress.
        """


class Reporter(Protocol):
    """Tells the user what a call does, besides the progress of its batch."""

    def note(self, sentence: str) -> None:
        """Says what the call does."""

    def warn(self, sentence: str) -> None:
        """Says what a person should know."""

    def ended(self, result: Result, *, is_earlier: bool) -> None:
        """
        Shows how the call left a batch.

        Args:
            is_earlier: whether the batch is one of an earlier occurrence.
        """


class Watcher(Protocol):
    """Hears of each change of a batch after it is durable, in the event loop; must not block."""

    def began(self, folder: Path) -> None:
        """The work on a batch begins; what follows is of this batch."""

    def run_started(self, attempt: Attempt, run: Run, *, adopted: bool) -> None:
        """The run of an attempt is known."""

    def attempt_failed(self, attempt: Attempt, error: str | None, next_delay_secs: float) -> None:
        """An attempt did not succeed, and another one follows."""

    def jobs_settled(self, keys: Iterable[JobKey]) -> None:
        """Jobs reached their final status."""

    def job_skipped(self, seq: int) -> None:
        """The job at a place in the spec is settled without an attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchContext:
    """
    What every command needs that runs a batch.

    Attributes:
        reporter: tells the user what the call does.
        listening: tells the call when it is to end.
        shard: which of several processes this one is; None if it works alone.
        force: whether jobs run although earlier results could be reused.
        abort_on_signal: whether a signal aborts the runs on the platform too.
        waits_for_platform: whether a platform that is away is waited for before the first start.
        leave_at: when the batch is interrupted for the next one; None for never.
        watcher: hears of each change; None if nobody watches.
        metrics: writes the file of metrics; None if nobody asked for it.
        trace: records the attempts for OpenTelemetry; None if nobody asked for it.
        announcer: announces the end of the batch; None if nobody is to hear of it.
        command: the command that works on the batch, as the user calls it.
        caller: what started this program.
        timings: the pauses of the scheduler and its client, which no setting changes.
    """

    settings: Settings
    connect: Connect
    display: Display
    reporter: Reporter
    listening: Listening
    sink: LogSink
    shard: Shard | None = None
    abort_on_signal: bool = False
    force: bool = False
    waits_for_platform: bool = False
    leave_at: datetime | None = None
    watcher: Watcher | None = None
    metrics: MetricsFile | None = None
    trace: BatchTrace | None = None
    announcer: Announcer | None = None
    command: str = ""
    caller: str = ""
    timings: Timings = TIMINGS


def client_options(
    endpoint: Endpoint, settings: Settings, timings: Timings = TIMINGS
) -> ClientOptions:
    """The options of the client, from the settings."""
    return ClientOptions(
        base_url=endpoint.base_url,
        token=endpoint.token,
        path_prefix=settings.actors_path_prefix,
        connect_timeout_secs=settings.connect_timeout_secs,
        first_byte_timeout_secs=settings.first_byte_timeout_secs,
        silence_timeout_secs=settings.silence_timeout_secs,
        start_deadline_secs=settings.start_deadline_secs,
        away_secs=settings.platform_away_secs,
        refusal_pauses_secs=timings.refusal_pauses_secs,
        sync_wait_secs=timings.sync_wait_secs,
        max_polls=capacity(settings.max_downloads, is_local=endpoint.is_local).max_runs,
    )


@asynccontextmanager
async def connected_client(
    local: LocalPlatformPlan | None, context: BatchContext, *, away_secs: float = ASKING_AWAY_SECS
) -> AsyncIterator[ApifyClient]:
    """
    A client of the platform of the settings, or of the local one.

    Args:
        local: the plan of the local platform; None for the platform of the settings.
        away_secs: how long to wait for a platform that is away. A person waits for the answer to a
            question; work that takes long gives the time of the settings.
    """
    async with context.connect(local) as endpoint:
        options = client_options(endpoint, context.settings, context.timings)
        async with ApifyClient(replace(options, away_secs=away_secs)) as client:
            yield client


@contextmanager
def logging_to(folder: Path, sink: LogSink) -> Iterator[None]:
    """Also writes log events to the batch's `log.jsonl`, with its id."""
    with bound(batch_id=folder.name):
        sink.open_file(folder / "log.jsonl")
        try:
            yield
        except OrchestratorError:
            raise
        except Exception:
            LOG.exception("program_failed")
            raise
        finally:
            sink.close_file()
