from __future__ import annotations

from pathlib import Path

import pytest

from bench import __main__ as benchmarks
from bench import regression
from bench.overhead import LABELS

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


def test_job_that_costs_more_than_is_recorded_is_a_regression() -> None:
    """`make bench-check` fails if a share exceeds the recorded one by more than 15 %."""
    document = (
        "| orchestrator | `run` |\n<!-- overhead -->\n| | CPU |\n"
        "| orchestrator | 900 | 1.50 | 0.80 | 12.0 | 76 |\n| official client | 1 |"
    )
    recorded = regression.recorded_shares(document)
    assert recorded == {LABELS[0]: 1.5, LABELS[1]: 0.8}
    assert regression.excesses({LABELS[0]: 1.72, LABELS[1]: 0.9}, recorded) == []
    assert regression.excesses({LABELS[0]: 1.72, LABELS[1]: 0.93}, recorded) == [
        "a job costs 0.93 of the official client's; 0.80 is recorded, and at most 0.92 is allowed"
    ]


def test_recorded_shares_are_those_of_the_document() -> None:
    """The check finds the figures that `make bench` has written."""
    assert set(regression.recorded_shares(benchmarks.DOCUMENT.read_text())) == set(LABELS)
