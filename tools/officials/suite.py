"""What every suite gets, and what it returns."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
EMULATOR = (sys.executable, "-m", "apify_emulator")


class SkippedError(Exception):
    """The suite cannot run here; the text says why."""


@dataclass(frozen=True)
class Section:
    """
    The part of docs/officials.md about one suite.

    Attributes:
        text: without the heading.
        summary: for the table at the top of the page; empty for what `passed` says.
    """

    title: str
    text: str
    passed: bool
    summary: str = ""


@dataclass(frozen=True)
class Place:
    """An empty folder for one suite, and the checkouts that the user has."""

    folder: Path
    checkouts: dict[str, str]

    def checkout(self, repository: str, reference: str, *paths: str) -> Path:
        """Returns these paths, or all, of a repository of `github.com/apify` at a tag or commit."""
        place = self.folder / repository
        given = self.checkouts.get(repository)
        source = given or f"https://github.com/apify/{repository}"
        git = ["git", "-c", "advice.detachedHead=false", "-c", "credential.helper="]
        clone = [*git, "clone", "--quiet", "--no-checkout", source, str(place)]
        if subprocess.run(clone, check=False, capture_output=True).returncode:
            raise SkippedError(f"{source} cannot be reached")
        words = [*git, "checkout", "--quiet", reference, *(["--", *paths] if paths else [])]
        if subprocess.run(words, check=False, cwd=place).returncode:
            raise SkippedError(f"{source} has no {reference}")
        return place

    def environment(self, *packages: str) -> Path:
        """Returns the Python of a new virtual environment with these packages."""
        place = self.folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        python = place / "bin" / "python"
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*pip, *packages], check=False).returncode:
            raise SkippedError(f"{packages[0]} cannot be installed from the package index")
        return python

    def npm(self, *packages: str) -> Path:
        """Installs packages into the folder, and returns the folder of their commands."""
        if shutil.which("npm") is None:
            raise SkippedError("npm is not installed")
        words = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix"]
        if subprocess.run([*words, str(self.folder), *packages], check=False).returncode:
            raise SkippedError(f"{packages[0]} cannot be installed from the package registry")
        return self.folder / "node_modules" / ".bin"


Suite = Callable[[Place], Section]


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Returns a table in Markdown; numbers stand on the right."""
    digits = [all(row[at].isdigit() for row in rows) for at in range(len(head))]
    rule = ["---:" if right else "---" for right in digits]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
