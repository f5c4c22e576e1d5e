"""The site of the documentation is complete, and needs no other host."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import ROOT

BUILDER = Path(sys.executable).parent / "zensical"
DOCS = ROOT / "docs"


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Builds a site as `make docs` does."""
    words = [str(BUILDER), "build", "--strict", "--clean"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The site, built from a copy, so that nothing is written into the checkout."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(DOCS, folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    done = build(folder)
    assert done.returncode == 0, done.stderr
    yield folder / "site"
    shutil.rmtree(folder)


def test_site_has_every_page(site: Path) -> None:
    """Each document is a page of the site."""
    documents = [path.relative_to(DOCS) for path in DOCS.rglob("*.md")]
    assert [name for name in documents if not (site / name).with_suffix(".html").exists()] == []


def test_site_loads_nothing_from_other_hosts(site: Path) -> None:
    """A reader without a network sees the whole site: fonts, scripts and pictures are local."""
    loading = re.compile(r'<(?:script|img|iframe|link)\b[^>]*?(?:src|href)="(?:https?:)?//[^"]+"')
    foreign = {
        found for page in site.rglob("*.html") for found in loading.findall(page.read_text())
    }
    assert foreign == set()
    assert [
        page.name for page in site.rglob("*.html") if 'class="mermaid"' in page.read_text()
    ] == []


@pytest.mark.parametrize("target", ["missing.md", "other.md#missing"], ids=["page", "heading"])
def test_site_is_refused_when_a_link_leads_nowhere(tmp_path: Path, target: str) -> None:
    """A link to a page or a heading that does not exist fails `make docs`."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Index\n\n[a link]({target})\n")
    (tmp_path / "docs" / "other.md").write_text("# Other\n")
    config = (ROOT / "zensical.toml").read_text()
    config = re.sub(r"nav = \[.*?^\]\n", "", config, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "zensical.toml").write_text(config)
    done = build(tmp_path)
    assert (done.returncode != 0, "does not exist" in done.stderr) == (True, True), done.stdout
