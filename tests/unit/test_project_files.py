"""CI, forms and hooks do the same as the project's own commands."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import orchestrator

ROOT = Path(__file__).parents[2]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def test_ci_runs_the_script_on_every_python_and_on_macos() -> None:
    """CI tries every version that the project supports."""
    job = _read(".github/workflows/ci.yml")["jobs"]["check"]
    matrix = job["strategy"]["matrix"]
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = [line.rpartition(" ")[2] for line in classifiers if " :: 3." in line]
    assert matrix["python"] == supported
    assert {"os": "macos-latest", "python": supported[-1]} in matrix["include"]
    assert job["steps"][-1] == {"run": ".ci/run"}


def test_ci_script_runs_every_check() -> None:
    """A change that passes CI has passed lint, types, import rules and tests."""
    steps = re.findall(r"^ *(?:if )?step ([a-z]+)", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert steps == ["setup", "lint", "types", "arch", "test"]
    assert set(steps) <= TARGETS


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_issue_form_is_complete(form: Path) -> None:
    """Every form has a name, a description and fields with labels."""
    content = yaml.safe_load(form.read_text())
    if form.name == "config.yml":
        assert content == {"blank_issues_enabled": True}
        return
    assert content["name"]
    assert content["description"]
    fields = [part for part in content["body"] if part["type"] != "markdown"]
    assert all(part["id"] and part["attributes"]["label"] for part in fields)


def test_hooks_run_targets_of_make() -> None:
    """A commit is checked by the same commands as a change in CI."""
    [repository] = _read(".pre-commit-config.yaml")["repos"]
    commands = [hook["entry"].split() for hook in repository["hooks"]]
    assert [command[:2] for command in commands] == [["make", "--silent"]] * len(commands)
    assert {"lint", "types", "arch"} == {word for command in commands for word in command[2:]}
    assert {"lint", "types", "arch"} <= TARGETS


def test_pages_name_targets_that_exist() -> None:
    """Every make command on the first pages exists."""
    for page in ("README.md", "CONTRIBUTING.md", ".github/PULL_REQUEST_TEMPLATE.md"):
        text = (ROOT / page).read_text()
        commands = re.findall(r"^make ([a-z -]+)|`make ([a-z -]+)`", text, re.MULTILINE)
        named = {word for pair in commands for part in pair for word in part.split()}
        assert named
        assert named <= TARGETS, page


def test_changelog_has_the_release_of_this_version() -> None:
    """A user who installs a version can read what is new in it."""
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", orchestrator.__version__]


def test_version_is_the_one_of_the_package() -> None:
    """The command prints the version of the package that it belongs to."""
    command = [sys.executable, "-m", "orchestrator", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"orchestrator {orchestrator.__version__}\n"
