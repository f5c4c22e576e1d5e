"""
Runs batches in the fork server before it forks, so that its children need not warm up.

Each child would fill the same caches again. The interpreter also adapts code to its use after some
calls, and in a child each such change copies a page of memory. The Python API and the emulator in
a thread are made to leave nothing behind in their process; what libraries remember of the
environment, such as its time zone and its folder of temporary files, is forgotten here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import anyio

from apify_emulator.testing.background import running_emulator
from orchestrator import Batch
from orchestrator.safe_text import SECRETS

SPEC = """
[batch]
name = "sweep"
max_runs = 8
[[jobs]]
name = "job-{{ n }}"
actor = "orchestrator/simulated"
input = { items = 1 }
matrix = { n = { range = [1, 8] } }
"""
TIMES = 2
"""The interpreter adapts a function after eight calls; a batch has eight jobs."""
LONGEST_SECS = 30


def rehearse() -> None:
    """Runs a batch several times, in a folder that is deleted; a batch that fails is no matter."""
    with _kept_variables(), TemporaryDirectory() as folder, chdir(folder):
        Path("sweep.toml").write_text(SPEC)
        with running_emulator() as emulator:
            # The emulator counts at once.
            os.environ.update(emulator.variables, ORCHESTRATOR_COUNTS_SETTLE_SECS="0")
            anyio.run(_run_batches, backend_options={"use_uvloop": True})
    SECRETS.clear()


async def _run_batches() -> None:
    # What is broken must fail the tests that are about it, not each of them.
    with suppress(Exception), anyio.move_on_after(LONGEST_SECS):
        for _ in range(TIMES):
            await Batch.from_spec("sweep.toml").run()


@contextmanager
def _kept_variables() -> Iterator[None]:
    """Gives the environment and all modules their old state at the end; forgets new modules."""
    environment = dict(os.environ)
    known: dict[str, object] = {**sys.modules}
    modules = [vars(one) for one in known.values() if isinstance(one, ModuleType)]
    before = [(module, module.copy()) for module in modules]
    yield
    os.environ.clear()
    os.environ.update(environment)
    for name in sys.modules.keys() - known.keys():
        del sys.modules[name]
    for now, old in before:
        now.update({name: value for name, value in old.items() if now.get(name) is not value})
