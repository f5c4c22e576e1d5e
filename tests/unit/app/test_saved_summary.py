"""The figures of earlier batches, as `list` and the pages read them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.saved_summary import summary_in
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.known_batches import read_batch
from orchestrator.report.summary import NEWEST, summary_of
from tests.support.finished_batches import MIDNIGHT, Made, write_batch


def with_summary(output: Path, **columns: Any) -> tuple[Path, dict[str, Any]]:
    """A batch, and its summary, which is in its folder with a count of items that is no other's."""
    columns = {"completed_at": (MIDNIGHT + timedelta(days=1)).isoformat(), **columns}
    folder = write_batch(output, [Made(key="a"), Made(key="b")], **columns)
    with LedgerReader(folder / LEDGER) as reader:
        summary = dict(summary_of(reader.batch(), reader.totals()))
    (folder / "summary.json").write_text(json.dumps({**summary, "items": 123_456}))
    return folder, summary


def test_list_reads_the_summary_of_a_complete_batch(tmp_path: Path) -> None:
    """A history of hundreds of batches is listed without counting their ledgers."""
    folder, summary = with_summary(tmp_path)
    found = summary_in(folder, read_batch(folder / LEDGER))
    assert found == {**summary, "items": 123_456}
    assert list(found)[-1] == NEWEST


@pytest.mark.parametrize(
    ("columns", "change"),
    [
        ({"state": "open", "ended_at": None}, {}),
        ({"completed_at": None}, {}),
        ({}, {"id": "20261125T010000Z-fffffff"}),
        ({}, {"finished_at": "2026-11-25T00:00:00.000Z"}),
        ({}, {NEWEST: ...}),
    ],
    ids=["open", "not complete", "copied", "of an earlier end", "of an earlier version"],
)
def test_list_counts_a_ledger_whose_summary_is_of_another_time(
    tmp_path: Path, columns: dict[str, Any], change: dict[str, Any]
) -> None:
    """A batch that continues, or whose file is old, is shown as its ledger has it."""
    folder, summary = with_summary(tmp_path, **columns)
    path = folder / "summary.json"
    changed = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({name: value for name, value in changed.items() if value != ...}))
    assert summary_in(folder, read_batch(folder / LEDGER)) == summary


@pytest.mark.parametrize(
    "change",
    [
        {"jobs": None},
        {"jobs": {"SUCCEEDED": 2}},
        {"jobs_total": "2"},
        {"items": [1]},
        {"cost_usd": None},
        {"active_secs": "long"},
        {"caller": {"a": 1}},
    ],
)
def test_list_counts_a_ledger_whose_summary_has_no_figures(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    """One file that another program has changed does not end a list of all batches."""
    folder, summary = with_summary(tmp_path)
    path = folder / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert summary_in(folder, read_batch(folder / LEDGER)) == summary


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"id": 1}'])
def test_list_counts_a_ledger_whose_summary_cannot_be_read(tmp_path: Path, text: str) -> None:
    """A torn `summary.json` hides no batch."""
    folder, summary = with_summary(tmp_path)
    (folder / "summary.json").write_text(text)
    assert summary_in(folder, read_batch(folder / LEDGER)) == summary
