"""
What a worker of Dask does with a shard: it runs the command in a process of its own.

So signals, logs and settings are the command's, and a worker that is killed takes its shard with
it. Runs on the worker's machine, with the worker's environment and config file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from platform import node
from threading import Event, Lock

from orchestrator.app.engines.shard_order import ShardDied, ShardEnd, ShardOrder
from orchestrator.app.setup.settings import load_settings
from orchestrator.app.supervisors.installation import NO_RESTART
from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.ledger.postgres.address import parse_address
from orchestrator.safe_text import plain
from orchestrator.version import __version__

PROCESS = ("-m", "orchestrator.cli.shard_process")
SAID_BYTES = 4000
"""How much of the end of stderr is kept."""


@dataclass
class _Live:
    """A shard at work on this worker."""

    group: str
    process: subprocess.Popen[bytes] | None = None
    stops: Event = field(default_factory=Event)

    def stop(self) -> None:
        self.stops.set()
        if self.process is not None:
            self.process.terminate()


_live: list[_Live] = []
_lock = Lock()


def run_shard(order: ShardOrder, program: Sequence[str] = PROCESS) -> ShardEnd:
    """
    Runs a shard to its end; blocks.

    Args:
        program: what Python is called with for the process.

    Raises:
        ShardDied: the engine is to try it again.
    """
    from distributed import secede

    # It waits for the platform most of the time: the worker has room for other tasks.
    secede()
    with _registered(order.group) as live:
        try:
            environment = _environment(order)
        except OrchestratorError as error:
            return _end(order, error.exit_code, f"orchestrator: {error}")
        words = [*program, "run", *order.words, "--shard", order.shard]
        code, said = _run(order, words, environment, live)
        if live.stops.is_set() or code == 0 or code in NO_RESTART:
            return _end(order, code, said)
        live.stops.wait(order.pause_secs)
    last = said.splitlines()[-1:] or ["it said nothing"]
    raise ShardDied(f"shard {order.shard} ended with {code} on {node()}: {last[0]}")


def stop_shards(group: str) -> int:
    """Interrupts the shards of a batch on this worker; returns how many are at work."""
    with _lock:
        ours = [one for one in _live if one.group == group]
    for one in ours:
        if not one.stops.is_set():
            one.stop()
    return len(ours)


def _end(order: ShardOrder, code: int, said: str) -> ShardEnd:
    return ShardEnd(shard=order.shard, code=code, said=said, machine=node())


@contextmanager
def _registered(group: str) -> Iterator[_Live]:
    live = _Live(group)
    with _lock:
        _live.append(live)
    try:
        yield live
    finally:
        with _lock:
            _live.remove(live)


def _environment(order: ShardOrder) -> dict[str, str]:
    """
    The environment of the process: the worker's own, with the ledger if it names none.

    Raises:
        ConfigError: the worker cannot work on this batch.
    """
    if order.version != __version__:
        raise ConfigError(
            f"this worker has version {__version__} of orchestrator, and the caller "
            f"{order.version}: install the same"
        )
    settings = load_settings(config=None, flags={})
    settings.require_token()
    trigger = {} if settings.trigger else {"ORCHESTRATOR_TRIGGER": "dask"}
    if settings.ledger is None:
        return {**os.environ, **trigger, "ORCHESTRATOR_LEDGER": order.ledger}
    own = parse_address(settings.ledger.get_secret_value())
    if own.url != order.ledger:
        raise ConfigError(
            f"the ledger of this worker is {own.url}, and that of the batch {order.ledger}: set "
            "ORCHESTRATOR_LEDGER of the worker to that, or leave it out and use PGPASSFILE"
        )
    return {**os.environ, **trigger}


def _run(
    order: ShardOrder, words: Sequence[str], environment: dict[str, str], live: _Live
) -> tuple[int, str]:
    """Runs the command for the spec; returns its exit code, and the end of what it said."""
    with tempfile.TemporaryDirectory(prefix="orchestrator-shard-") as folder:
        for name, content in order.files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        spec = str(Path(folder, order.spec))
        with tempfile.TemporaryFile() as errors:
            with _lock:
                # Its standard input ends with this worker, and the process leaves then.
                live.process = subprocess.Popen(  # noqa: S603 - our own program
                    [sys.executable, *words, spec],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=environment,
                )
            if live.stops.is_set():
                live.process.terminate()
            with live.process:
                code = live.process.wait()
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - SAID_BYTES))
            said = plain(errors.read().decode("utf-8", "replace"))
    return code, said
