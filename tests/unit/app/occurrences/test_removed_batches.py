"""Another command removes a batch while a call reads the batches of its name."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orchestrator.app import batch_folders
from orchestrator.app.occurrences import known
from orchestrator.app.occurrences.schedules import schedule_of
from orchestrator.specfile import load_spec
from tests.support.command import sweep
from tests.support.finished_batches import Made, write_batch


@pytest.mark.parametrize("module", [batch_folders, known], ids=["listed", "found"])
def test_batch_that_is_removed_while_it_is_read_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType
) -> None:
    """A folder that is not there any more cannot hold the batch of an occurrence."""
    spec = tmp_path / "nightly.toml"
    spec.write_text(sweep("nightly"))
    loaded = load_spec(spec)
    kept, removed = (
        write_batch(tmp_path / "output", [Made(key="a")], number=number) for number in (1, 2)
    )
    read = module.read_batch

    def read_removed(path: Path, *more: Any) -> Any:
        if path.parent == removed:
            shutil.rmtree(removed)
        return read(path, *more)

    monkeypatch.setattr(module, "read_batch", read_removed)
    schedule = schedule_of(loaded.spec.batch, None)
    found, illegible = known.known_batches(kept.parent, loaded, schedule)
    assert ([one.folder for one in found], illegible) == ([kept], [])
