from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app.outputs import merge
from orchestrator.model.batches import ResultsPlan
from orchestrator.results.table_writer import Table


def write_one_row(_sources: Any, _plan: ResultsPlan, part: Path, **_named: Any) -> Table:
    """Writes the file of a table."""
    (part / "items.jsonl").write_text("{}\n")
    return Table(rows=1)


def interrupt(patch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Lets something happen after the first table is written, and before it is published."""

    def write(*given: Any, **named: Any) -> Table:
        table = write_one_row(*given, **named)
        patch.setattr(merge, "write_table", write_one_row)
        meanwhile()
        return table

    patch.setattr(merge, "write_table", write)


def test_merge_ends_though_another_process_merges_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was paused does not break the merge of the one that works in its place."""
    interrupt(monkeypatch, lambda: merge.merge_results(tmp_path, ResultsPlan()))
    assert merge.merge_results(tmp_path, ResultsPlan()).rows == 1
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert (tmp_path / "results/items.jsonl").read_text() == "{}\n"


def test_merge_removes_what_a_killed_process_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are not kept beside the results for ever."""
    left = tmp_path / "left"

    def die() -> None:
        left.mkdir()
        for path in tmp_path.glob(".results.*"):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, left / path.name)

    interrupt(monkeypatch, die)
    merge.merge_results(tmp_path, ResultsPlan())
    for path in left.iterdir():
        path.rename(tmp_path / path.name)
    left.rmdir()
    assert len(list(tmp_path.iterdir())) == 3
    merge.merge_results(tmp_path, ResultsPlan())
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
