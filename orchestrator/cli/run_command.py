"""What `orchestrator run` was called with, and the batches that this call can ask for."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from orchestrator.apify.options import root_of
from orchestrator.app.batch.creation import RunRequest, prepared_batch
from orchestrator.app.batch.lifecycle import refuse_live_series, start_prepared
from orchestrator.app.batch.spec_changes import handle_changes
from orchestrator.app.batch_folders import PLATFORM, Found
from orchestrator.app.occurrences.schedules import occurrence_of, schedule_of
from orchestrator.app.setup.context import BatchContext
from orchestrator.cli.batch_run import drive
from orchestrator.cli.command_settings import choice_of
from orchestrator.model.batches import LOCAL, Batch, LocalPlatformPlan, Series, Trigger
from orchestrator.model.ids import BatchName
from orchestrator.model.schedule import Schedule
from orchestrator.specfile import LoadedSpec


@dataclass(frozen=True, kw_only=False)
class RunCommand:
    """A call of `orchestrator run`: its options, the spec that it names and the context."""

    options: argparse.Namespace
    loaded: LoadedSpec
    context: BatchContext

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
        return LOCAL if self.options.local else root_of(self.context.settings.api_base_url)

    @property
    def is_json(self) -> bool:
        """Whether stdout gets JSON."""
        return bool(self.options.json)

    def series(self, account: str | None) -> Series:
        """The series of the batch."""
        return Series(
            name=BatchName(self.loaded.spec.batch.name),
            platform=self.platform,
            account=account,
            params=dict(self.options.param),
            choice=choice_of(self.options),
        )

    def request(
        self, occurrence: datetime, triggered_by: Trigger = Trigger.RUN, account: str | None = None
    ) -> RunRequest:
        """The request for a new batch of an occurrence."""
        settings = self.context.settings
        return RunRequest(
            loaded=self.loaded,
            output=settings.output,
            params=dict(self.options.param),
            choice=choice_of(self.options),
            occurrence=occurrence,
            schedule=self.context.settings.schedule,
            triggered_by=triggered_by,
            platform=self.platform,
            account=account,
            local=self._local_plan() if self.options.local else None,
            remote=settings.remote,
            caller=self.context.caller,
        )

    def handle_changes(self, folder: Path) -> None:
        """Refuses to resume a batch whose spec has changed, or accepts the changes."""
        handle_changes(folder, self.options.spec, accept=self.options.accept_changes)

    def _local_plan(self) -> LocalPlatformPlan:
        beside = self.options.spec.parent / "actors"
        actors = self.options.actors or ([beside] if beside.is_dir() else [])
        return LocalPlatformPlan(
            data_dir=str((self.context.settings.output / PLATFORM).absolute()),
            actors_dirs=tuple(str(path.absolute()) for path in actors),
        )


def run_new(command: RunCommand, named: date | datetime | None = None) -> int:
    """
    Runs a new batch, also if others of its series have ended.

    Args:
        named: its occurrence, instead of the one of the command line.

    Raises:
        BatchHeld: another batch of its series is live, and `--concurrent` is not given.
    """
    named = named or command.options.occurrence
    occurrence = occurrence_of(named, command.schedule, datetime.now(UTC))
    is_in_the_way = _allow if command.options.concurrent else refuse_live_series
    with prepared_batch(command.request(occurrence)) as prepared:
        return drive(
            start_prepared, prepared, command.context, is_in_the_way, as_json=command.is_json
        )


def print_note(sentence: str) -> None:
    """Prints a line to stderr."""
    sys.stderr.write(f"{sentence}\n")


def _allow(_batch: Batch, _found: Found) -> bool:
    return False
