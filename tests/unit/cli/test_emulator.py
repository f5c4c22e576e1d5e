"""The orchestrator's errors for errors of the emulator."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

import pytest

from orchestrator.app.setup.local_platform import local_platform
from orchestrator.cli.emulator import add_emulator_commands, run_emulator_command
from orchestrator.errors import BatchHeld, ConfigError, UsageError
from orchestrator.model.batches import LocalPlatformPlan


async def _run(*words: str) -> None:
    parser = argparse.ArgumentParser()
    add_emulator_commands(parser)
    await run_emulator_command(parser.parse_args(words))


def _plan(data_dir: Path, *actors_dirs: Path) -> LocalPlatformPlan:
    return LocalPlatformPlan(data_dir=str(data_dir), actors_dirs=tuple(map(str, actors_dirs)))


async def test_missing_folder_of_actors_is_a_configuration_error(tmp_path: Path) -> None:
    """`platform build` and `run --local` end with exit code 2 and name the folder."""
    missing = tmp_path / "missing"
    with pytest.raises(ConfigError, match="missing") as caught:
        await _run("build", "--data", str(tmp_path), "--actors", str(missing))
    assert caught.value.exit_code == 2
    with pytest.raises(ConfigError, match="missing"):
        async with local_platform(_plan(tmp_path, missing), share=False):
            pass


async def test_unusable_file_of_faults_is_a_configuration_error(tmp_path: Path) -> None:
    """`platform serve --faults` ends with exit code 2 and names the file."""
    (tmp_path / "faults.json").write_text("{")
    with pytest.raises(ConfigError, match=r"faults\.json"):
        await _run("serve", "--data", str(tmp_path), "--faults", str(tmp_path / "faults.json"))


async def test_port_in_use_is_a_usage_error(tmp_path: Path) -> None:
    """`platform serve --port` ends with exit code 2 and names the port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with pytest.raises(UsageError, match=port) as caught:
            await _run("serve", "--data", str(tmp_path), "--port", port)
    assert caught.value.exit_code == 2


async def test_data_folder_in_use_is_a_batch_held(tmp_path: Path) -> None:
    """A second local platform on the same data ends with exit code 4."""
    async with local_platform(_plan(tmp_path), share=False):
        with pytest.raises(BatchHeld, match="another process") as caught:
            async with local_platform(_plan(tmp_path), share=False):
                pass
        assert caught.value.exit_code == 4


async def test_local_platform_that_another_process_serves_is_shared(tmp_path: Path) -> None:
    """A command that only reads uses the running platform, and does not start a second one."""
    async with (
        local_platform(_plan(tmp_path), share=False) as served,
        local_platform(_plan(tmp_path), share=True) as shared,
    ):
        assert shared.base_url == served.base_url
        assert not shared.is_local
