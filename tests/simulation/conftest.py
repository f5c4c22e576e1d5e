from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from orchestrator.collector import items
from orchestrator.events import LOGGER


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred items are a large dataset here, which goes to disk in pieces."""
    monkeypatch.setattr(items, "CHUNK_BYTES", 1024)


@pytest.fixture(autouse=True)
def _no_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is proven here is the order of things; nobody cuts the power of the test machine."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """Nights are told by their outcome; printing every repeated request takes longer than them."""
    LOGGER.setLevel(logging.CRITICAL)
    yield
    LOGGER.setLevel(logging.NOTSET)
