"""A real scheduler of Dask and real workers, each a process of its own, for tests."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tests.support.command import ROOT, Process, fork_server, wait_until

SCHEDULER = "distributed.cli.dask_scheduler"
WORKER = "distributed.cli.dask_worker"
MODULES = (SCHEDULER, WORKER)
"""What all processes of a cluster and its callers need; the import takes a second."""


def why_absent() -> str | None:
    """Why this environment has no Dask; None when it has."""
    if find_spec("distributed") is None:
        return "Dask is not installed: pip install -e '.[dev]'"
    return None


@dataclass
class Cluster:
    """
    A scheduler and its workers.

    Attributes:
        folder: the workers have folders of their own below it, as on other machines.
        url: for `--on`.
        workers: by their names.
    """

    folder: Path
    scheduler: Process | None = None
    url: str = ""
    workers: dict[str, Process] = field(default_factory=dict)

    def start_scheduler(self) -> None:
        """Starts a scheduler, and returns when it can be reached."""
        address = self.folder / "scheduler.json"
        address.unlink(missing_ok=True)
        words = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file")
        self.scheduler = _start(self.folder, SCHEDULER, *words, str(address), variables={})
        wait_until(lambda: address.exists() and _url(address) is not None, "the scheduler")
        self.url = str(_url(address))

    def stop_scheduler(self) -> None:
        """Kills the scheduler."""
        if self.scheduler is not None:
            _end(self.scheduler)

    def start_worker(self, name: str, variables: Mapping[str, str]) -> None:
        """Starts a worker with an environment of its own."""
        folder = self.folder / name
        (folder / "home").mkdir(parents=True)
        self.workers[name] = _start(
            folder,
            WORKER,
            self.url.replace("dask://", "tcp://"),
            *("--no-nanny", "--nthreads", "1", "--no-dashboard", "--name", name),
            *("--local-directory", str(folder / "scratch")),
            variables={"HOME": str(folder / "home"), **variables},
        )

    def logs(self) -> str:
        """What the scheduler and the workers have logged."""
        started = [*self.workers.values(), *filter(None, [self.scheduler])]
        return "\n".join(process.errors() for process in started)

    def stop_workers(self) -> None:
        """Ends all workers, and forgets their logs."""
        for name, process in self.workers.items():
            _end(process)
            shutil.rmtree(self.folder / name)
        self.workers = {}

    def stop(self) -> None:
        """Ends all processes."""
        self.stop_workers()
        self.stop_scheduler()


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """A scheduler without workers, until the end of the block."""
    folder.mkdir()
    cluster = Cluster(folder)
    try:
        cluster.start_scheduler()
        yield cluster
    finally:
        cluster.stop()


def _url(address: Path) -> str | None:
    try:
        return str(json.loads(address.read_text())["address"]).replace("tcp://", "dask://")
    except (ValueError, KeyError):
        return None


def _start(folder: Path, program: str, *words: str, variables: Mapping[str, str]) -> Process:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    own = {**kept, "PYTHONPATH": str(ROOT), **variables}
    return fork_server((), *MODULES).start(f"{program}:main", words, folder, own, mixed=True)


def _end(process: Process) -> None:
    process.kill()
    process.communicate()
