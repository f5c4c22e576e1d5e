from __future__ import annotations

import os

import pytest

from orchestrator.collector.item_download import ItemsDownload
from orchestrator.store import sink


@pytest.fixture(autouse=True)
def _small_pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred items are a large dataset here, unless a test asks for the usual pieces."""
    if not getattr(request, "param", True):
        return
    monkeypatch.setattr(sink, "SMALL_BYTES", 1024)
    monkeypatch.setattr(sink, "PIECE_BYTES", 1024)
    monkeypatch.setattr(ItemsDownload, "RANGE_ITEMS", 100)


@pytest.fixture(autouse=True)
def _no_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is proven here is the order of things; nobody cuts the power of the test machine."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
