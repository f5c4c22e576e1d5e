"""What is published: the wheel, its metadata, and how a checkout is set up."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

import orchestrator
from orchestrator.extras import Extra, not_installed

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
NO_PACKAGES = {"tests", "bench", "tools"}
"""Folders with Python code that only a checkout has, not an installation."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """The wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: ZipFile) -> Message:
    """The metadata that an index shows for the wheel."""
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def _tracked(*folders: str) -> set[str]:
    command = ["git", "ls-files", "-z", "--", *folders]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {name for name in done.stdout.split("\0") if (ROOT / name).is_file()}


def test_wheel_has_every_file_of_every_package(wheel: ZipFile) -> None:
    """An installed command has the SQL, templates and pages that it has in a checkout."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - NO_PACKAGES
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert _tracked(*packages) - files == set()
    assert {name.partition("/")[0] for name in files} == packages
    assert not [name for name in files if name.endswith((".pyc", "~"))]


def test_wheel_names_project_licence_and_version(metadata: Message) -> None:
    """An index shows the name, the licence and the version of the command."""
    assert metadata["Name"] == "apify-batch"
    assert metadata["Version"] == orchestrator.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert metadata["Keywords"]


def test_wheel_has_the_licence_and_typing_marks(wheel: ZipFile) -> None:
    """The licence travels with the code, and type checkers read the package."""
    names = wheel.namelist()
    [licence] = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    assert wheel.read(licence).decode().lstrip().startswith("Apache License")
    assert "orchestrator/py.typed" in names


def test_wheel_has_the_commands(wheel: ZipFile) -> None:
    """An installation has every command that the project defines."""
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
    listed = wheel.read(name).decode()
    assert "orchestrator = orchestrator.cli.main:main" in listed
    assert [name for name in PROJECT["project"]["scripts"] if f"{name} = " not in listed] == []


def test_wheel_limits_the_version_of_aiohttp(metadata: Message) -> None:
    """A new major version of aiohttp is not installed before it was tried."""
    assert "aiohttp<4,>=3.14" in metadata.get_all("Requires-Dist", [])


@pytest.mark.parametrize("extra", Extra)
def test_extra_of_a_message_exists(extra: Extra) -> None:
    """The command in the message installs what is missing."""
    assert PROJECT["project"]["optional-dependencies"][extra]
    command = f"pip install 'apify-batch[{extra}]'"
    assert not_installed(extra) == f"needs a library that is not installed: {command}"


def test_pages_name_extras_of_this_distribution() -> None:
    """Every page and message names an extra in the one form that works."""
    wrong = []
    for name in sorted(_tracked()):
        if name.startswith("tests/") or not name.endswith((".py", ".md", ".toml", ".j2", ".yml")):
            continue
        for command in re.findall(r"pip install '([^']+\[[^']+)'", (ROOT / name).read_text()):
            distribution, _, extra = command.rstrip("]").partition("[")
            if not {*extra.split(",")} <= {*EXTRAS, "{extra}"} or distribution not in {
                "apify-batch", "{DISTRIBUTION}"
            }:  # fmt: skip
                wrong.append(f"{name}: {command}")
    assert wrong == []


def test_every_dependency_is_pinned() -> None:
    """A checkout installs the same versions everywhere."""
    pins = set(re.findall(r"^[a-z0-9-]+", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    project = PROJECT["project"]
    extras = project["optional-dependencies"].values()
    wanted = [line for lines in (project["dependencies"], *extras) for line in lines]
    names = {re.split(r"[^\w-]", line)[0].lower().replace("_", "-") for line in wanted}
    assert names - pins == set()


def test_make_help_lists_every_target() -> None:
    """`make` without a target shows all targets."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    [targets] = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, check=True, capture_output=True)
    listed = {line.split()[0] for line in done.stdout.decode().splitlines()}
    assert listed == set(targets.split())
