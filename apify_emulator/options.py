"""What the owner of an emulator can choose."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from apify_emulator.account import AccountLimits
from apify_emulator.faults import Faults


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorOptions:
    """
    How an emulator is set up.

    Attributes:
        data_dir: the folder for runs, storages and logs; created when missing; for one emulator at
            a time.
        actors_dirs: each folder below one of these that has `.actor/actor.json` is an Actor, and so
            is such a folder itself; `tasks/*.json` in one of them are tasks.
        port: 0 takes a free one.
        token: of the account; None creates a random one, valid until this emulator ends.
        envs_dir: where Actors' environments are built; None is the user's cache folder.
        max_memory_mbytes: of all active runs together; a start beyond it is refused.
        max_runs: active runs; a start beyond it is refused.
        process_slots: Actor processes at once; further runs wait as READY. None is two per core.
        sync_wait_secs: how long the run-sync endpoints wait for the end of the run.
        abort_grace_secs: how long a process may take to end after a graceful abort.
        stop_grace_secs: how long a process may take to end after SIGTERM, at a timeout and when the
            emulator closes.
        list_user_agent: whether `meta` in lists of runs has the user agent, which Apify does not
            promise.
        max_log_bytes: the largest size of a run's log.
        open_files: the soft limit of open files that processes get; None passes on the emulator's.
        faults: seeded faults, for tests.
        report: gets a line for people when the build of an environment begins and ends.
    """

    data_dir: Path
    actors_dirs: tuple[Path, ...] = ()
    host: str = "127.0.0.1"
    port: int = 0
    token: SecretStr | None = None
    envs_dir: Path | None = None
    max_memory_mbytes: int = 65536
    max_runs: int = 256
    process_slots: int | None = None
    sync_wait_secs: float = 300
    abort_grace_secs: float = 30
    stop_grace_secs: float = 3
    list_user_agent: bool = True
    max_log_bytes: int = 10_485_760
    open_files: int | None = None
    faults: Faults | None = None
    report: Callable[[str], None] | None = None

    @property
    def slots(self) -> int:
        """How many Actor processes may run at once."""
        return self.process_slots or 2 * (os.cpu_count() or 1)

    @property
    def added_actors_dir(self) -> Path:
        """The folder of Actors that `apify-emulator add` and `record` write to."""
        return self.data_dir.absolute() / "actors"

    @property
    def all_actors_dirs(self) -> tuple[Path, ...]:
        """All folders of Actors that exist or must exist."""
        added = self.added_actors_dir
        return (*self.actors_dirs, added) if added.is_dir() else self.actors_dirs

    @property
    def environments(self) -> Path:
        """Where Actors' environments are built."""
        if self.envs_dir is not None:
            return self.envs_dir.absolute()
        # Environments are shared between data folders, because a build can take minutes.
        cache = os.environ.get("XDG_CACHE_HOME")
        if cache:
            return Path(cache) / "orchestrator" / "actor-envs"
        home = os.environ.get("HOME")
        if home and os.access(home, os.W_OK):
            return Path(home) / ".cache" / "orchestrator" / "actor-envs"
        return self.data_dir.absolute() / "envs"


def account_limits(options: EmulatorOptions) -> AccountLimits:
    """Returns the limits of the account at the start, and after a reset."""
    return AccountLimits(max_runs=options.max_runs, max_memory_mbytes=options.max_memory_mbytes)
