from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips flushes: these tests check the order of events, not a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
