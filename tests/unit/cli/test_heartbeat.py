"""The file by which a liveness probe sees that a command works."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from orchestrator.cli import heartbeat
from orchestrator.cli.heartbeat import beating
from orchestrator.errors import ConfigError
from tests.support.virtual_time import run_virtual


def test_heartbeat_is_renewed_while_the_command_works(tmp_path: Path) -> None:
    """The file gets a new time every few seconds, and the result is the command's."""
    path = tmp_path / "heartbeat"
    times: list[float] = []

    async def work() -> int:
        for _ in range(2):
            os.utime(path, (0, 0))
            await anyio.sleep(heartbeat.EVERY_SECS + 1)
            times.append(path.stat().st_mtime)
        return 3

    assert run_virtual(beating, path, work) == 3
    assert min(times) > 0


def test_heartbeat_that_cannot_be_written_is_a_mistake(tmp_path: Path) -> None:
    """A probe that sees no file would let a hung command live."""

    async def work() -> int:
        raise AssertionError("nothing must be started")

    with pytest.raises(ConfigError, match="correct ORCHESTRATOR_HEARTBEAT_FILE"):
        run_virtual(beating, tmp_path / "missing" / "heartbeat", work)
