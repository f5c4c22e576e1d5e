"""The notebooks of the documents do what they show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import ROOT
from tests.support.examples import is_printed
from tests.support.notebooks import code_cells, run_cells, text_of

NOTEBOOKS = {
    path.name: json.loads(path.read_text())
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
}


@pytest.mark.parametrize("name", NOTEBOOKS)
async def test_cells_of_the_notebook_give_what_it_shows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cell runs in a running loop, as in Jupyter, without an account."""
    for variable in ("APIFY_TOKEN", "APIFY_API_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    notebook = NOTEBOOKS[name]
    shown = [text_of(cell["outputs"]) for cell in code_cells(notebook)]
    given = [text_of(outputs) for outputs in await run_cells(notebook, name)]
    assert len(shown) > 3
    wrong = [pair for pair in zip(shown, given, strict=True) if not is_printed(*pair)]
    assert wrong == [], "run python -m tests.support.notebooks docs/notebooks/*.ipynb"


async def test_cell_with_an_error_fails(tmp_path: Path) -> None:
    """A notebook whose cell raises an error does not pass."""
    notebook = {"cells": [{"cell_type": "code", "source": ["1 / 0"]}]}
    with pytest.raises(ZeroDivisionError):
        await run_cells(notebook, "wrong.ipynb")
