"""
A cluster of Dask as an engine: each shard is a task, which the scheduler gives to a worker.

The tasks outlive this process, and the scheduler gives those of a worker that dies to another one.
A second call for the same batch finds the same tasks by their names.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from orchestrator.app.engines.dask_worker import run_shard, stop_shards
from orchestrator.app.engines.shard_order import ShardDied, ShardEnd, ShardOrder
from orchestrator.app.supervisors.installation import MOST_RESTARTS
from orchestrator.errors import OrchestratorError, UsageError
from orchestrator.extras import LIBRARIES_OF_EXTRAS, Extra, not_installed
from orchestrator.safe_text import one_line

CONNECT_SECS = 5.0
LONGEST_REASON = 300


class EngineAway(OrchestratorError):
    """The engine cannot be reached, or has given a shard up; the batch can be resumed."""

    exit_code = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardTask:
    """
    A shard at the engine.

    Attributes:
        future: of Dask.
    """

    shard: str
    future: Any

    @property
    def is_over(self) -> bool:
        """Whether the engine does nothing more for it."""
        return self.future.status not in ("pending", "lost")

    def end(self) -> ShardEnd:
        """
        How the shard ended; only of one that is over.

        Raises:
            EngineAway: the engine has given it up.
        """
        if self.future.status == "finished":
            end: ShardEnd = self.future.result()
            return end
        if self.future.status == "cancelled":
            raise EngineAway(f"shard {self.shard}: the scheduler of Dask is gone, or dropped it")
        error = self.future.exception()
        if isinstance(error, ShardDied):
            raise EngineAway(f"{error}; it was tried {MOST_RESTARTS + 1} times")
        reason = one_line(f"{type(error).__name__}: {error}", LONGEST_REASON)
        raise EngineAway(f"shard {self.shard}: Dask has given it up: {reason}")


class DaskCluster:
    """
    The connection to a scheduler. All methods block.

    Args:
        url: `dask://HOST:PORT`.

    Raises:
        UsageError: it is no such URL, or the library is not installed.
        EngineAway: the scheduler does not answer.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "dask" or not parts.netloc or parts.path.strip("/"):
            raise UsageError(f"--on: expected dask://HOST:PORT, found {url!r}")
        if find_spec(LIBRARIES_OF_EXTRAS[Extra.DASK]) is None:
            raise UsageError(f"--on dask:// {not_installed(Extra.DASK)}")
        from distributed import Client

        _silence()
        self.url = url
        try:
            self._client = Client(
                f"tcp://{parts.netloc}", timeout=CONNECT_SECS, set_as_default=False
            )
        except (OSError, ValueError) as error:
            raise EngineAway(
                f"{url}: the scheduler of Dask does not answer: start it with `dask scheduler`, or "
                "correct --on"
            ) from error

    def workers(self) -> list[str]:
        """The addresses of the workers."""
        return sorted(self._client.scheduler_info(n_workers=-1)["workers"])

    def submit(self, orders: Sequence[ShardOrder]) -> list[ShardTask]:
        """Gives each shard to a worker of its own, as far as there are enough."""
        from distributed import fire_and_forget

        workers = self.workers()
        tasks = []
        for number, order in enumerate(orders):
            where = [workers[number % len(workers)]] if workers else None
            future = self._client.submit(
                run_shard,
                order,
                key=order.key,
                pure=False,
                retries=MOST_RESTARTS,
                workers=where,
                allow_other_workers=where is not None,
            )
            # The task outlives this process.
            fire_and_forget(future)
            tasks.append(ShardTask(shard=order.shard, future=future))
        return tasks

    def stop(self, tasks: Sequence[ShardTask], group: str) -> int:
        """Interrupts the shards of a batch; returns how many are still at work."""
        self._client.cancel([task.future for task in tasks], force=True)
        return self._count(group)

    def _count(self, group: str) -> int:
        left: Any = self._client.run(stop_shards, group, on_error="ignore")
        return sum(left.values())

    def close(self) -> None:
        """Leaves the cluster; the tasks continue."""
        self._client.close()


def _silence() -> None:
    """Keeps Dask from logging: its errors are ours, and its tracebacks help nobody here."""
    # Each of its loggers has a level and a handler of its own.
    for name in [*logging.root.manager.loggerDict]:
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
