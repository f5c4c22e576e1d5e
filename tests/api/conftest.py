from __future__ import annotations

from pathlib import Path

import pytest

from apify_emulator.testing.handle import EmulatorHandle


@pytest.fixture
def emulator(
    apify_emulator: EmulatorHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> EmulatorHandle:
    """An empty emulator that the environment names, and an empty working folder."""
    monkeypatch.chdir(tmp_path)
    # The emulator counts at once.
    for name in ("COUNTS_SETTLE_SECS", "COSTS_SETTLE_SECS"):
        monkeypatch.setenv(f"ORCHESTRATOR_{name}", "0")
    return apify_emulator
