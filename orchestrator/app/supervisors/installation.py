"""What has to be known of a spec, this machine and the command line to install a schedule."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zlib import crc32

from orchestrator.app.supervisors.clock_gaps import Gap, gaps
from orchestrator.app.supervisors.cron_fields import CronFields, fields_of
from orchestrator.errors import UsageError
from orchestrator.model.schedule import Schedule

MOST_JITTER_SECS = 300
COUNTED = 40
"""How many intervals are compared to find the shortest."""

NO_RESTART = (1, 2, 3, 4)
"""The exit codes after which no supervisor starts the command again."""

HELD = 4
"""The exit code that is no failure: another process works on this occurrence."""

MOST_RESTARTS = 5
PAUSES_SECS = (60, 120, 240, 480, 960)
"""The pauses before the restarts."""

GAP_YEARS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """
    A call of `run --resume` that a supervisor makes on a schedule.

    Attributes:
        name: of the batch.
        zone_name: of the schedule's time zone; None if the machine's zone has no name.
        command: the absolute path of the command, or of Python with `-m orchestrator`.
        run_options: of `run`, besides the spec and `--resume`; paths are absolute.
        spec, folder: absolute paths of the spec and of the working folder.
        variables: the environment of the command that is no secret.
        environment_file: holds the secrets; absolute path.
        needs: the names of the variables that the environment file must set.
        offers: the names of variables that are set now, and that the command may need too.
        jitter_secs: the longest delay that spreads the starts of many machines.
        shards: how many processes share each batch; None for one that works alone.
        is_remote: whether results go to an object store.
        catch_up_from: the first day whose batch is started late if it was missed; None for never.
        now: aware.
    """

    name: str
    schedule: Schedule
    zone_name: str | None
    command: Sequence[str]
    run_options: Sequence[str]
    spec: Path
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    environment_file: Path
    needs: Sequence[str]
    offers: Sequence[str] = ()
    jitter_secs: int
    now: datetime
    shards: int | None = None
    is_remote: bool = False
    catch_up_from: date | None = None

    @property
    def fields(self) -> CronFields:
        """The fields of the schedule."""
        return fields_of(self.schedule.text)

    @property
    def slug(self) -> str:
        """The name in the letters that unit names and Kubernetes allow: `a-z`, `0-9`, `-`."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")[:30].strip("-")
        if plain == self.name:
            return plain
        # Two names that differ only in other letters must not share a unit.
        return f"{plain or 'batch'}-{hashlib.sha256(self.name.encode()).hexdigest()[:6]}"

    @property
    def call(self) -> list[str]:
        """The words of the command that the supervisor runs."""
        return [*self.command, "run", "--resume", *self.run_options, str(self.spec)]

    @property
    def delay_secs(self) -> int:
        """A delay up to the jitter that is always the same for this name and folder."""
        return crc32(f"{self.folder}\0{self.name}".encode()) % (self.jitter_secs + 1)

    def interval(self) -> timedelta:
        """The shortest time between two occurrences."""
        return shortest_interval(self.schedule, self.now)

    def gaps(self) -> list[Gap]:
        """The times that the clock skips in the next years."""
        return gaps(self.schedule, self.now, GAP_YEARS)


def shortest_interval(schedule: Schedule, now: datetime) -> timedelta:
    """The shortest time between two of the next occurrences."""
    times = [schedule.after(now)]
    while len(times) <= COUNTED:
        times.append(schedule.after(times[-1]))
    return min(after - before for before, after in pairwise(times))


def jitter_of(schedule: Schedule, now: datetime, asked: int | None) -> int:
    """
    The longest delay of a start: five minutes, but at most a tenth of the interval.

    Args:
        asked: what the user chose; None for the default.

    Raises:
        UsageError: the user chose a delay after which the next occurrence may be near.
    """
    interval = shortest_interval(schedule, now)
    most = int(interval.total_seconds() / 2)
    if asked is None:
        return min(MOST_JITTER_SECS, int(interval.total_seconds() / 10))
    if asked > most:
        raise UsageError(
            f"--jitter {asked}: two occurrences of {schedule.text!r} can be only {interval} apart; "
            f"choose at most {most} seconds"
        )
    return asked


def refuse_odd_paths(paths: Sequence[str | Path]) -> None:
    """
    Refuses paths that cannot stand in a line of a crontab, a unit or a manifest.

    Raises:
        UsageError.
    """
    for path in map(str, paths):
        if not path.isprintable():
            raise UsageError(
                f"{path!r} has characters that cannot be printed, such as a line break: rename it"
            )


def gap_words(installation: Installation, supervisor: str, what: str) -> str | None:
    """A sentence about the times that the clock skips; None if there are none."""
    found = installation.gaps()
    if not found:
        return None
    days = ", ".join(f"{gap.skipped:%Y-%m-%d}" for gap in found[:2])
    first = found[0]
    return (
        f"The clock of {installation.zone_name or 'this machine'} skips {first.skipped:%H:%M} on "
        f"{days} and in later years: {supervisor} {what}. A time outside "
        f"{first.ends - timedelta(hours=1):%H:%M} to {first.ends:%H:%M} avoids this."
    )
