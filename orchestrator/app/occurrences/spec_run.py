"""A request to run a spec, and the batches that it can ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from orchestrator.app.batch.batch_call import drive_batch
from orchestrator.app.batch.creation import RunRequest, prepared_batch
from orchestrator.app.batch.lifecycle import refuse_live_series, start_prepared
from orchestrator.app.batch.spec_changes import handle_changes
from orchestrator.app.batch_folders import PLATFORM, Found
from orchestrator.app.occurrences.schedules import occurrence_of, schedule_of
from orchestrator.app.setup.context import BatchContext
from orchestrator.errors import UsageError
from orchestrator.model.batches import LOCAL, Batch, LocalPlatformPlan, Series, Trigger
from orchestrator.model.ids import BatchName
from orchestrator.model.schedule import Schedule
from orchestrator.model.selection import EVERYTHING, Choice
from orchestrator.platform_address import root_of
from orchestrator.specfile import LoadedSpec


@dataclass(frozen=True, kw_only=True)
class SpecRun:
    """
    A request to run a spec: a call of `orchestrator run`, or of the Python API.

    Attributes:
        params: the `--param` values, as typed.
        choice: the jobs of the spec that are selected.
        named: the occurrence that the user named; None for the one that is due now.
        is_local: whether the emulator is the platform.
        actors: folders with Actors for the emulator; empty for the folder `actors` beside the spec.
        is_concurrent: whether a batch of the same series may be live.
        accepts_changes: whether a changed spec is applied to an interrupted batch.
    """

    loaded: LoadedSpec
    context: BatchContext
    params: Mapping[str, str] = field(default_factory=dict)
    choice: Choice = EVERYTHING
    named: date | datetime | None = None
    is_local: bool = False
    actors: Sequence[Path] = ()
    is_concurrent: bool = False
    accepts_changes: bool = False

    def __post_init__(self) -> None:
        if self.actors and not self.is_local:
            # Without this, a forgotten --local would start runs that cost money.
            raise UsageError(
                "a folder of Actors (--actors) is for the local platform: add --local, or leave "
                "the folder out"
            )

    @property
    def shares(self) -> bool:
        """Whether other processes work on the same batch (`--shard`)."""
        return self.context.shard is not None

    @cached_property
    def schedule(self) -> Schedule:
        """The occurrences of the spec."""
        return schedule_of(self.loaded.spec.batch, self.context.settings.schedule)

    @property
    def has_schedule(self) -> bool:
        """Whether the spec or the settings have a schedule."""
        own = self.loaded.spec.batch.schedule
        return own is not None or self.context.settings.schedule is not None

    @property
    def home(self) -> Path:
        """The folder of the batches of this name."""
        return self.context.settings.output / self.loaded.spec.batch.name

    @property
    def platform(self) -> str:
        """The platform, by its name in a series."""
        return LOCAL if self.is_local else root_of(self.context.settings.api_base_url)

    def series(self, account: str | None) -> Series:
        """The series of the batch."""
        return Series(
            name=BatchName(self.loaded.spec.batch.name),
            platform=self.platform,
            account=account,
            params=dict(self.params),
            choice=self.choice,
        )

    def request(
        self, occurrence: datetime, triggered_by: Trigger = Trigger.RUN, account: str | None = None
    ) -> RunRequest:
        """The request for a new batch of an occurrence."""
        settings = self.context.settings
        return RunRequest(
            loaded=self.loaded,
            output=settings.output,
            params=dict(self.params),
            choice=self.choice,
            occurrence=occurrence,
            schedule=self.context.settings.schedule,
            triggered_by=triggered_by,
            platform=self.platform,
            account=account,
            local=self._local_plan() if self.is_local else None,
            remote=settings.remote,
            caller=self.context.caller,
            shares=self.shares,
        )

    def handle_changes(self, folder: Path) -> None:
        """Reports that a batch was made from another spec, or applies the changes."""
        note = self.context.reporter.note
        handle_changes(folder, self.loaded, accept=self.accepts_changes, note=note)

    def _local_plan(self) -> LocalPlatformPlan:
        beside = self.loaded.path.parent / "actors"
        actors = self.actors or ([beside] if beside.is_dir() else [])
        return LocalPlatformPlan(
            data_dir=str((self.context.settings.output / PLATFORM).absolute()),
            actors_dirs=tuple(str(path.absolute()) for path in actors),
        )


async def run_new(run: SpecRun) -> int:
    """
    Runs a new batch, also if others of its series have ended; returns the exit code.

    Raises:
        BatchHeld: another batch of its series is live, and the request is not concurrent.
    """
    occurrence = occurrence_of(run.named, run.schedule, datetime.now(UTC))
    objection = _allow if run.is_concurrent else refuse_live_series
    with prepared_batch(run.request(occurrence)) as prepared:
        return await drive_batch(start_prepared, prepared, run.context, objection)


def _allow(_batch: Batch, _found: Found) -> None:
    return None
