from __future__ import annotations

from pathlib import Path

import pytest

from bench import __main__ as benchmarks

TEXT = (
    "# Costs\n\n<!-- memory -->\nold\n<!-- /memory -->\n\n<!-- requests -->\n<!-- /requests -->\n"
)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "performance.md"
    path.write_text(TEXT)
    return path


def test_figures_replace_only_the_old_ones(document: Path) -> None:
    """Figures that are written twice appear once, and the rest of the page stays the same."""
    benchmarks.write("memory", r"first \1", document)
    benchmarks.write("memory", r"new \1", document)
    assert document.read_text() == TEXT.replace("old", r"new \1")


def test_every_benchmark_has_its_place_in_the_document() -> None:
    """No benchmark measures for minutes without a place for its figures."""
    text = benchmarks.DOCUMENT.read_text()
    assert [name for name in benchmarks.BENCHMARKS if f"<!-- /{name} -->" not in text] == []
