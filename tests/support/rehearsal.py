"""
Runs batches in the fork server before it forks, so that its children need not warm up.

Each child would fill the same caches again. The interpreter also adapts code to its use after some
calls, and in a child each such change copies a page of memory. The Python API and the emulator in
a thread are made to leave nothing behind in their process.
"""

from __future__ import annotations

import os
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

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
TIMES = 4
"""The interpreter adapts a function after eight calls; most are called more than once a batch."""


def rehearse() -> None:
    """Runs a batch several times, in a folder that is deleted."""
    before = dict(os.environ)
    with TemporaryDirectory() as folder, chdir(folder), running_emulator() as emulator:
        # The emulator counts at once.
        os.environ.update(emulator.variables, ORCHESTRATOR_COUNTS_SETTLE_SECS="0")
        Path("sweep.toml").write_text(SPEC)
        for _ in range(TIMES):
            anyio.run(Batch.from_spec("sweep.toml").run, backend_options={"use_uvloop": True})
    os.environ.clear()
    os.environ.update(before)
    SECRETS.clear()
