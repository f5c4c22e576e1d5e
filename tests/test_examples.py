"""The examples of the documents do what the documents say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import ROOT, ServedPlatform, served_platform
from tests.support.example_runs import page_run
from tests.support.examples import pages_of


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPlatform]:
    """An emulator for all pages of this process."""
    with served_platform(tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.mark.parametrize(
    "path",
    [page for page in pages_of(ROOT) if "```" in page.read_text()],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_examples_of_the_page_do_what_it_says(
    path: Path, tmp_path: Path, platform: ServedPlatform
) -> None:
    """Each example of the page can be copied, and does what the page says."""
    page_run(tmp_path, platform).run(path.read_text())
