"""Fixtures for the emulator's tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def envs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where environments are built, once for all tests of a worker."""
    return tmp_path_factory.mktemp("envs")
