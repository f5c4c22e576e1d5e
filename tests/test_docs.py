"""The statements of the documents are true."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

from orchestrator.cli.command_list import COMMANDS
from orchestrator.cli.parser import EXIT_CODES
from orchestrator.specfile import expand, load_spec
from tests.support import screens
from tests.support.examples import blocks_of
from tools.references import REFERENCES

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGES = [path for path in DOCUMENTS if path.parent.name != "adr"]
JOBS = sorted((ROOT / "jobs").glob("*.toml"))


@pytest.mark.parametrize("page", REFERENCES)
def test_reference_is_current(page: str) -> None:
    """The reference of the spec, the commands and the settings is what the program says."""
    assert (ROOT / "docs" / page).read_text() == REFERENCES[page](), "run make references"


def test_reference_says_what_every_argument_is_for() -> None:
    """No argument of a command lacks its meaning."""
    rows = [line for line in REFERENCES["commands.md"]().splitlines() if line.startswith("| `")]
    assert len(rows) > 150
    assert [row for row in rows if row.endswith("|  |")] == []


def test_screens_of_the_live_view_are_current() -> None:
    """What docs/live-view.md shows is what a terminal shows."""
    page = screens.PAGE.read_text()
    assert page == screens.page_with_screens(page), "run python -m tests.support.screens"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_of_a_page_has_a_language_that_a_test_knows(path: Path) -> None:
    """No example is left out: tests/test_examples.py runs or parses each block."""
    blocks_of(path.read_text())


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_sample_specs_are_valid(path: Path) -> None:
    """Every spec under jobs/ is valid."""
    assert list(expand(load_spec(path), params={}, env={}, today=date(2026, 11, 25)))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Every link to a file of the project leads to that file."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_links_of_the_site_stay_inside_it() -> None:
    """A page links to no file of the project that the site does not have."""
    docs = ROOT / "docs"
    links = [
        f"{path.relative_to(ROOT)}: {link}"
        for path in docs.rglob("*.md")
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
        if not (path.parent / link).resolve().is_relative_to(docs)
    ]
    assert links == []


def test_navigation_of_the_site_has_every_page() -> None:
    """A reader of the site finds each page in its navigation."""
    docs = ROOT / "docs"
    listed = re.findall(r'"([\w/-]+\.md)"', (ROOT / "zensical.toml").read_text())
    assert sorted(listed) == sorted(str(path.relative_to(docs)) for path in docs.rglob("*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_in_documents_exist(path: Path) -> None:
    """Every file of the project that a page names is where the page says; ADRs are history."""
    folders = "tests|docs|tools|bench|orchestrator|apify_emulator"
    names = re.findall(rf"\b((?:{folders})/[\w./-]+\.(?:py|md|sql|toml))\b", path.read_text())
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_readme_names_every_command_and_exit_code() -> None:
    """The first page lists all commands and all exit codes."""
    text = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"`{name}" not in text and f"`{name}`" not in text] == []
    codes = re.findall(r"^  (\d+)", EXIT_CODES, re.MULTILINE)
    assert [code for code in codes if f"| {code}" not in text] == []
    assert len(text.splitlines()) <= 150


def test_messages_of_the_troubleshooting_are_those_of_the_program() -> None:
    """A user who searches the page for a message finds it."""
    sources = (path.read_text() for path in (ROOT / "orchestrator").rglob("*.py"))
    said = re.sub(r"""["']\n\s*f?["']""", "", "\n".join(sources))
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    tables = re.findall(r"^\| message \|.*\n\| ---.*\n((?:\|.*\n)+)", page, re.MULTILINE)
    messages = re.findall(r"^\| (`+)(.*?)\1 \|", "".join(tables), re.MULTILINE)
    assert len(messages) > 25
    parts = [part.strip(" ',[]?") for _, message in messages for part in message.split("…")]
    assert [part for part in parts if part not in said] == []


def test_install_page_names_every_extra() -> None:
    """A user finds what each extra adds."""
    page = (ROOT / "docs" / "install.md").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert [
        name for name in extras if f"`{name}`" not in page and name not in {"dev", "docs"}
    ] == []


def test_layout_names_files_that_exist() -> None:
    """Every place on the map of the code exists."""
    text = (ROOT / "docs" / "layout.md").read_text().partition("## History")[0]
    names = set(re.findall(r"`([\w./-]+(?:/|\.(?:py|sql|toml|md)))`", text)) - {"items.jsonl"}
    assert len(names) > 80
    bases = (ROOT, ROOT / "orchestrator")
    assert [name for name in sorted(names) if not any((b / name).exists() for b in bases)] == []
    walk = text.partition("## The walk")[2]
    steps = re.findall(r"^\d+\. .*`[\w/]+\.(?:py|toml)`", walk, re.MULTILINE)
    assert len(steps) == 15


def test_layout_shows_the_layers_that_are_checked() -> None:
    """The diagram of imports shows the rules that the build checks."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = rules["contracts"][0]["layers"]
    diagram = (ROOT / "docs" / "layout.md").read_text().split("```")[1].removeprefix("text")
    assert [line.removeprefix(" → ") for line in diagram.strip().splitlines()] == layers
