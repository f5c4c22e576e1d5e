"""What a Python Actor needs: the lines of `requirements.txt`, or the dependencies of a project."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from apify_emulator.errors import BuildFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """
    What pip installs.

    Attributes:
        text: in the form of `requirements.txt`.
        path: of the file with this text; None if the text is made of a `pyproject.toml`.
    """

    text: bytes
    path: Path | None = None

    @property
    def step(self) -> str:
        """What the build does most of the time."""
        if self.path is not None:
            return f"pip install -r {self.path.name}"
        return "pip install the dependencies of pyproject.toml"


def requirements_of(folder: Path) -> Requirements | None:
    """
    Returns what an Actor needs; None if it has no file that says so.

    Raises:
        BuildFailed: its `pyproject.toml` cannot be used.
    """
    listed = folder / "requirements.txt"
    if listed.is_file():
        return Requirements(text=listed.read_bytes(), path=listed)
    described = folder / "pyproject.toml"
    if not described.is_file():
        return None
    try:
        project = tomllib.loads(described.read_text()).get("project")
    except (OSError, ValueError) as problem:
        raise BuildFailed(f"{described}: cannot be read: {problem}") from problem
    if not isinstance(project, dict) or "dependencies" in project.get("dynamic", ()):
        raise BuildFailed(
            f"{described}: has no list of dependencies in [project]; add one, or a requirements.txt"
        )
    lines = project.get("dependencies", [])
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise BuildFailed(f"{described}: [project] dependencies must be a list of strings")
    return Requirements(text="".join(f"{line}\n" for line in lines).encode()) if lines else None
